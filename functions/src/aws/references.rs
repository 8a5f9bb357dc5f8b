//! What names an image, and would miss it if it were gone.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    ImageReferenceOptionName, ImageReferenceResourceType, ResourceTypeOption, ResourceTypeRequest,
};

use super::error_codes::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE};
use crate::{
    error::Error,
    model::ids::{ImageId, InstanceId},
};

/// The ARNs of what names each image, by its id.
pub(crate) type References = BTreeMap<String, Vec<String>>;

/// How many images EC2 answers about at once.
const MOST_IMAGES: usize = 10;
/// Every version that a launch template can have (EC2 User Guide, AMI references: the default is ten, and a group
/// may stay with an older one).
const EVERY_VERSION: &str = "10000";
/// Instances that may run, or run again; by default EC2 counts terminated ones too.
const STATES: [&str; 4] = ["pending", "running", "stopping", "stopped"];

/// The ARNs of what names each of the images in this account and Region; an image that nothing names is left out, and
/// one that EC2 does not know has an empty list.
///
/// EC2 tells of instances, launch templates, Parameter Store parameters and recipes of Image Builder
/// (DescribeImageReferences), Auto Scaling of launch configurations. The instance `except` is left out.
///
/// # Errors
///
/// Whatever keeps one of the two from answering, unless the other one has named something of every image.
pub(crate) async fn of(
    ec2: &aws_sdk_ec2::Client,
    auto_scaling: &aws_sdk_autoscaling::Client,
    image_ids: &[ImageId],
    except: Option<&InstanceId>,
) -> Result<References, Error> {
    if image_ids.is_empty() {
        return Ok(References::new());
    }
    let (of_ec2, of_auto_scaling) =
        (of_ec2(ec2, image_ids, except).await, of_auto_scaling(auto_scaling, image_ids).await);
    match (of_ec2, of_auto_scaling) {
        (Ok(mut all), Ok(more)) => {
            for (id, arns) in more {
                all.entry(id).or_default().extend(arns);
            }
            Ok(all)
        }
        (Ok(all), Err(_)) | (Err(_), Ok(all)) if all.len() == image_ids.len() => Ok(all),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

async fn of_ec2(
    client: &aws_sdk_ec2::Client,
    image_ids: &[ImageId],
    except: Option<&InstanceId>,
) -> Result<References, Error> {
    let except = except.map(|id| format!(":instance/{id}"));
    let mut all = References::new();
    let mut left: Vec<&[ImageId]> = image_ids.chunks(MOST_IMAGES).collect();
    while let Some(ids) = left.pop() {
        let request = client.describe_image_references().set_resource_types(Some(resource_types()));
        let request = request.set_image_ids(Some(ids.iter().map(ImageId::to_string).collect()));
        let references: Result<Vec<_>, _> = request.into_paginator().items().send().collect().await;
        match references {
            Ok(references) => {
                for (id, arn) in references.into_iter().filter_map(|one| one.image_id.zip(one.arn)) {
                    if except.as_ref().is_none_or(|except| !arn.ends_with(except)) {
                        all.entry(id).or_default().push(arn);
                    }
                }
            }
            Err(error) if matches!(error_codes::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => {
                // One of several is gone, and the answer tells nothing of the others.
                if let [gone] = ids {
                    all.entry(gone.to_string()).or_default();
                } else {
                    left.extend(ids.chunks(1));
                }
            }
            Err(error) => return Err(error_codes::unexpected("ec2:DescribeImageReferences", &error)),
        }
    }
    Ok(all)
}

async fn of_auto_scaling(client: &aws_sdk_autoscaling::Client, image_ids: &[ImageId]) -> Result<References, Error> {
    let pages = client.describe_launch_configurations().into_paginator();
    let configurations: Result<Vec<_>, _> = pages.items().send().collect().await;
    let configurations =
        configurations.map_err(|error| error_codes::unexpected("autoscaling:DescribeLaunchConfigurations", &error))?;
    let mut all = References::new();
    for (id, arn) in configurations.into_iter().filter_map(|one| one.image_id.zip(one.launch_configuration_arn)) {
        if image_ids.iter().any(|wanted| wanted.as_str() == id) {
            all.entry(id).or_default().push(arn);
        }
    }
    Ok(all)
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
