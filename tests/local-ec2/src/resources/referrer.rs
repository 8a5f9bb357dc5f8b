//! What names an image, besides the instances that were launched from it.

use std::collections::BTreeMap;

use crate::{
    account::{ACCOUNT, REGION},
    tags::Tags,
};

/// A launch template; its versions have numbers from 1 on.
#[derive(Clone, Debug)]
pub(crate) struct LaunchTemplate {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The image of each version, if it names one.
    pub(crate) images: Vec<Option<String>>,
    pub(crate) tags: Tags,
}

impl LaunchTemplate {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/{}", self.id)
    }

    /// Whether one of so many newest versions names the image.
    pub(crate) fn names(&self, image_id: &str, depth: usize) -> bool {
        self.images.iter().rev().take(depth).flatten().any(|image| image == image_id)
    }
}

/// A resource of another service that names one image: plain data.
#[derive(Clone, Debug)]
pub(crate) struct Referrer {
    /// As DescribeImageReferences has it, such as `ssm:Parameter`; a launch configuration is none of its types.
    pub(crate) resource_type: String,
    pub(crate) name: String,
    pub(crate) image_id: String,
}

/// The type of a launch configuration, which only Auto Scaling tells of.
pub(crate) const LAUNCH_CONFIGURATION: &str = "autoscaling:LaunchConfiguration";
/// Every type.
pub(crate) const TYPES: [&str; 4] =
    ["ssm:Parameter", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe", LAUNCH_CONFIGURATION];

impl Referrer {
    pub(crate) fn arn(&self) -> String {
        let name = &self.name;
        match self.resource_type.as_str() {
            "ssm:Parameter" => format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{}", name.trim_start_matches('/')),
            "imagebuilder:ImageRecipe" => format!("arn:aws:imagebuilder:{REGION}:{ACCOUNT}:image-recipe/{name}/1.0.0"),
            "imagebuilder:ContainerRecipe" => {
                format!("arn:aws:imagebuilder:{REGION}:{ACCOUNT}:container-recipe/{name}/1.0.0")
            }
            _ => format!(
                "arn:aws:autoscaling:{REGION}:{ACCOUNT}:launchConfiguration:\
                 00000000-0000-0000-0000-000000000000:launchConfigurationName/{name}"
            ),
        }
    }
}

/// Everything that names images, by ids and ARNs.
#[derive(Debug, Default)]
pub(crate) struct Referrers {
    pub(crate) templates: BTreeMap<String, LaunchTemplate>,
    pub(crate) others: BTreeMap<String, Referrer>,
}

impl Referrers {
    /// Adds one, and gives its ARN.
    pub(crate) fn add(&mut self, referrer: Referrer) -> String {
        let arn = referrer.arn();
        self.others.insert(arn.clone(), referrer);
        arn
    }
}
