//! Whether an instance may be stopped for its image, asked before anything is touched.

use aws_sdk_ec2::{
    Client,
    operation::describe_instance_attribute::DescribeInstanceAttributeOutput,
    types::{Instance, InstanceAttributeName, InstanceLifecycleType},
};

use super::request::StopInstance;
use crate::{aws::error_codes, error::Error};

/// The tag that Auto Scaling puts on the members of a group.
const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// Refuses to stop an instance that would not come back as it was.
pub(super) async fn check(client: &Client, instance: &Instance, stop: StopInstance) -> Result<(), Error> {
    let id = instance.instance_id().unwrap_or_default();
    let refuse = |why: String| Err(Error::invalid("stopInstance", format!("must not be true: {id} {why}")));
    if let Some(group) = instance.tags().iter().find(|tag| tag.key() == Some(GROUP_TAG)).and_then(|tag| tag.value()) {
        return refuse(format!("is in the Auto Scaling group {group}, which replaces an instance that is stopped"));
    }
    if instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot) {
        return refuse("is a Spot Instance, which EC2 may not start again".to_owned());
    }
    if is_protected_from_stops(client, id).await? {
        return refuse("has stop protection (disableApiStop)".to_owned());
    }
    if !stop.accept_instance_store_loss
        && let Some(instance_type) = instance.instance_type()
        && has_instance_store(client, instance_type.as_str()).await?
    {
        return refuse(format!(
            "is a {instance_type}, whose instance store volumes lose their data; \"acceptInstanceStoreLoss\": true accepts it"
        ));
    }
    Ok(())
}

async fn is_protected_from_stops(client: &Client, id: &str) -> Result<bool, Error> {
    let request = client.describe_instance_attribute().instance_id(id);
    let answer = request.attribute(InstanceAttributeName::DisableApiStop).send().await;
    let answer = answer.map_err(|error| error_codes::unexpected("ec2:DescribeInstanceAttribute", &error));
    // Without an answer, EC2 refuses the stop itself.
    let answer = error_codes::optional(answer)?;
    Ok(answer
        .as_ref()
        .and_then(DescribeInstanceAttributeOutput::disable_api_stop)
        .and_then(|attribute| attribute.value())
        .unwrap_or_default())
}

async fn has_instance_store(client: &Client, instance_type: &str) -> Result<bool, Error> {
    let answer = client.describe_instance_types().instance_types(instance_type.into()).send().await;
    let answer = answer.map_err(|error| error_codes::unexpected("ec2:DescribeInstanceTypes", &error))?;
    Ok(answer.instance_types().iter().any(|one| one.instance_storage_supported().unwrap_or_default()))
}
