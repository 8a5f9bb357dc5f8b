//! The watermarks of an image, as an execution gives them out.

use aws_sdk_ec2::{primitives::DateTimeFormat, types};
use serde::Serialize;

use super::text;

/// A mark that its owner has put on an image, such as that it is approved.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageWatermark {
    /// `<account>:<name>`.
    pub watermark_key: Option<String>,
    /// The image that it was put on.
    pub source_image_id: Option<String>,
    /// That image's Region.
    pub source_image_region: Option<String>,
    /// When it was put on, in RFC 3339.
    pub watermark_creation_time: Option<String>,
}

impl ImageWatermark {
    pub(super) fn of(watermark: &types::ImageWatermark) -> Self {
        let created = watermark.watermark_creation_time();
        Self {
            watermark_key: text(watermark.watermark_key()),
            source_image_id: text(watermark.source_image_id()),
            source_image_region: text(watermark.source_image_region()),
            watermark_creation_time: created.and_then(|time| time.fmt(DateTimeFormat::DateTime).ok()),
        }
    }
}
