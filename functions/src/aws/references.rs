//! What names an image, and would miss it if it were gone.

use aws_sdk_ec2::types::{
    ImageReferenceOptionName, ImageReferenceResourceType, ResourceTypeOption, ResourceTypeRequest,
};

use super::error_codes::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE};
use crate::{
    error::Error,
    model::ids::{ImageId, InstanceId},
};

/// Every version that a launch template can have (EC2 User Guide, AMI references: the default is ten, and a group
/// may stay with an older one).
const EVERY_VERSION: &str = "10000";
/// Instances that may run, or run again; by default EC2 counts terminated ones too.
const STATES: [&str; 4] = ["pending", "running", "stopping", "stopped"];

/// The ARNs of what names the image in this account and Region; none of an image that EC2 does not know.
///
/// EC2 tells of instances, launch templates, Parameter Store parameters and recipes of Image Builder
/// (DescribeImageReferences), Auto Scaling of launch configurations. The instance `except` is left out.
///
/// # Errors
///
/// Whatever keeps one of the two from answering, unless the other one has named something.
pub(crate) async fn of(
    ec2: &aws_sdk_ec2::Client,
    auto_scaling: &aws_sdk_autoscaling::Client,
    image_id: &ImageId,
    except: Option<&InstanceId>,
) -> Result<Vec<String>, Error> {
    match (of_ec2(ec2, image_id, except).await, of_auto_scaling(auto_scaling, image_id).await) {
        (Ok(mut arns), Ok(more)) => {
            arns.extend(more);
            Ok(arns)
        }
        (Ok(arns), Err(_)) | (Err(_), Ok(arns)) if !arns.is_empty() => Ok(arns),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

async fn of_ec2(
    client: &aws_sdk_ec2::Client,
    image_id: &ImageId,
    except: Option<&InstanceId>,
) -> Result<Vec<String>, Error> {
    let request = client.describe_image_references().image_ids(image_id.as_str());
    let pages = request.set_resource_types(Some(resource_types())).into_paginator();
    let references: Result<Vec<_>, _> = pages.items().send().collect().await;
    let references = match references {
        Ok(references) => references,
        Err(error) if matches!(error_codes::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => vec![],
        Err(error) => return Err(error_codes::unexpected("ec2:DescribeImageReferences", &error)),
    };
    let except = except.map(|id| format!(":instance/{id}"));
    let counts = |arn: &String| except.as_ref().is_none_or(|except| !arn.ends_with(except));
    Ok(references.into_iter().filter_map(|reference| reference.arn).filter(counts).collect())
}

async fn of_auto_scaling(client: &aws_sdk_autoscaling::Client, image_id: &ImageId) -> Result<Vec<String>, Error> {
    let pages = client.describe_launch_configurations().into_paginator();
    let configurations: Result<Vec<_>, _> = pages.items().send().collect().await;
    let configurations =
        configurations.map_err(|error| error_codes::unexpected("autoscaling:DescribeLaunchConfigurations", &error))?;
    let naming = configurations.into_iter().filter(|one| one.image_id() == Some(image_id.as_str()));
    Ok(naming.filter_map(|configuration| configuration.launch_configuration_arn).collect())
}

fn resource_types() -> Vec<ResourceTypeRequest> {
    let request = |resource_type| ResourceTypeRequest::builder().resource_type(resource_type);
    let option = |name, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        ResourceTypeOption::builder().option_name(name).set_option_values(Some(values)).build()
    };
    let states = option(ImageReferenceOptionName::StateName, &STATES);
    let depth = option(ImageReferenceOptionName::VersionDepth, &[EVERY_VERSION]);
    vec![
        request(ImageReferenceResourceType::Ec2Instance).resource_type_options(states).build(),
        request(ImageReferenceResourceType::Ec2LaunchTemplate).resource_type_options(depth).build(),
        request(ImageReferenceResourceType::SsmParameter).build(),
        request(ImageReferenceResourceType::ImageBuilderImageRecipe).build(),
        request(ImageReferenceResourceType::ImageBuilderContainerRecipe).build(),
    ]
}
