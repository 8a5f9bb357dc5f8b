//! The answer to a question about one image: its attributes.

use serde_json::Value;

use super::attributes::{self, Attributes};
use crate::{app::App, aws::ec2, error::Error, model::ids::ImageId};

/// Reads an object with nothing but an `imageId`, and gives the image's attributes.
///
/// # Errors
///
/// `InvalidRequest`, `ImageNotFound`, and what EC2 refuses.
pub async fn handle(app: &App, question: &Value) -> Result<Attributes, Error> {
    let image_id = image_id(question)?;
    let image = ec2::image(&app.ec2, &image_id).await?;
    let image = image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })?;
    attributes::of(app, &image, None).await
}

fn image_id(question: &Value) -> Result<ImageId, Error> {
    match question.as_object() {
        Some(members) if members.keys().eq(["imageId"]) => {
            ImageId::parse("imageId", members["imageId"].as_str().unwrap_or_default())
        }
        _ => Err(Error::invalid("imageId", "must be the only field of the input")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_is_an_image_id_and_nothing_else() {
        assert!(image_id(&json!({"imageId": "ami-0123456789abcdef0"})).is_ok());
        for wrong in [
            json!({}),
            json!([]),
            json!({"imageId": 1}),
            json!({"imageId": "ami-1"}),
            json!({"imageId": "ami-01234567", "x": 1}),
        ] {
            assert_eq!(image_id(&wrong).map_err(|error| error.name()), Err("InvalidRequest"));
        }
    }
}
