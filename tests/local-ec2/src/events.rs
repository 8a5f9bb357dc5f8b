//! What EC2 tells EventBridge: that an image has ended, whether it is available or has failed.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_ec2::types::ImageState;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{account::REGION, clock::between, world::World};

/// An `EC2 AMI State Change` (EC2 User Guide, monitor AMI events), with the fields of PutEvents.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    source: &'static str,
    detail_type: &'static str,
    /// In seconds since 1970.
    time: u64,
    resources: [String; 1],
    detail: Value,
}

impl Event {
    fn new(image_id: &str, state: &ImageState, message: &str, at: SystemTime) -> Self {
        Self {
            source: "aws.ec2",
            detail_type: "EC2 AMI State Change",
            time: between(UNIX_EPOCH, at).as_secs(),
            resources: [format!("arn:aws:ec2:{REGION}::image/{image_id}")],
            detail: json!({"ImageId": image_id, "State": state.as_str(), "ErrorMessage": message}),
        }
    }
}

impl World {
    /// When the next event is due, as far as is known now.
    pub(crate) fn next_event(&self) -> Option<SystemTime> {
        let told = self.images.values().filter(|image| image.is_to_be_told);
        told.filter_map(|image| image.making.ends()).min().map(|end| end + self.lags.image_told)
    }

    /// The events that are due, each once. EC2 has none for images that are in error or invalid.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        let now = self.now();
        let after = self.lags.image_told;
        let mut events = vec![];
        for image in self.images.values_mut().filter(|image| image.is_to_be_told) {
            let Some(ended) = image.making.ended(now).filter(|ended| between(*ended, now) >= after) else { continue };
            image.is_to_be_told = false;
            let state = image.making.state(now);
            if matches!(state, ImageState::Available | ImageState::Failed) {
                let message = image.making.reason(now).map_or("", |reason| &reason.message);
                events.push(Event::new(&image.id, &state, message, ended));
            }
        }
        events
    }
}
