//! What EC2's image states mean to a run.

use aws_sdk_ec2::types::{Image, ImageState};

/// What is to be done about an image in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// EC2 still works on it: look again later.
    Pending,
    /// It can be used.
    Available,
    /// It will never become available.
    Failed,
}

/// Sorts EC2's states; one this version does not know is waited for, and ends with the time limit.
pub fn outlook(state: &ImageState) -> Outlook {
    match state {
        ImageState::Available => Outlook::Available,
        ImageState::Pending | ImageState::Transient => Outlook::Pending,
        ImageState::Failed
        | ImageState::Error
        | ImageState::Invalid
        | ImageState::Deregistered
        | ImageState::Disabled => Outlook::Failed,
        _ => Outlook::Pending,
    }
}

/// EC2's reason for an image's state, as a sentence.
pub fn reason(image: &Image) -> String {
    let reason = image.state_reason();
    match (reason.and_then(|reason| reason.code()), reason.and_then(|reason| reason.message())) {
        // EC2's message mostly begins with the code.
        (Some(code), Some(message)) if !message.starts_with(code) => format!("{code}: {message}"),
        (Some(_), Some(message)) => message.to_owned(),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => "EC2 gave no reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::StateReason;

    use super::*;

    #[test]
    fn a_reason_says_ec2s_code_once() {
        let image = |message: &str| {
            let reason = StateReason::builder().code("Client.InternalError").message(message).build();
            Image::builder().state_reason(reason).build()
        };
        for message in ["it broke", "Client.InternalError: it broke"] {
            assert_eq!(reason(&image(message)), "Client.InternalError: it broke");
        }
        assert_eq!(reason(&Image::builder().build()), "EC2 gave no reason");
    }

    #[test]
    fn only_pending_and_transient_images_are_waited_for() {
        let failed = ["failed", "error", "invalid", "deregistered", "disabled"];
        for state in ImageState::values() {
            let expected = match *state {
                "available" => Outlook::Available,
                state if failed.contains(&state) => Outlook::Failed,
                _ => Outlook::Pending,
            };
            assert_eq!(outlook(&ImageState::from(*state)), expected, "{state}");
        }
        assert_eq!(outlook(&ImageState::from("a-state-of-tomorrow")), Outlook::Pending);
    }
}
