//! Whether an image is in use: it stays then, unless the request says otherwise.

use crate::{
    app::App,
    aws::references,
    error::Error,
    model::ids::{ImageId, InstanceId},
};

/// How many of the ARNs are named.
const NAMED: usize = 10;

/// Why the image must not go; none if nothing uses it. What cannot be found out counts as use.
///
/// # Errors
///
/// What is to be tried again.
pub(crate) async fn why(app: &App, image_id: &ImageId, except: Option<&InstanceId>) -> Result<Option<String>, Error> {
    match references::of(&app.ec2, &app.auto_scaling, image_id, except).await {
        Ok(arns) if arns.is_empty() => Ok(None),
        Ok(arns) => Ok(Some(format!("it is in use by {}", named(&arns)))),
        Err(error) if error.is_to_be_retried() => Err(error),
        Err(error) => Ok(Some(format!("whether it is in use is not known: {error}"))),
    }
}

/// The first ARNs, and how many more there are.
pub(crate) fn named(arns: &[String]) -> String {
    let first = arns[..arns.len().min(NAMED)].join(", ");
    match arns.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_ten_are_named() {
        let arns: Vec<_> = (0..12).map(|number| format!("arn:{number}")).collect();
        assert_eq!(named(&arns[..2]), "arn:0, arn:1");
        assert!(named(&arns).ends_with("arn:9 and 2 more"));
    }
}
