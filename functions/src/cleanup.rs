//! Removes an image and every snapshot of it, a look at a time, and says what is left.
//!
//! It works for a delete, by image id, and for a rollback, by run tag. It is called again and
//! again until a look finds nothing: what one call removes, the next one no longer sees.

mod delete;
mod removal;
mod rollback;

use aws_sdk_ec2::Client;
pub(crate) use delete::check;
pub(crate) use rollback::REMEMBERED;

use crate::{
    error::Error,
    run::Operation,
    settings::Settings,
    step::{Document, Step},
};

/// Removes what it may of the document's image, or of what its run made.
pub async fn handle(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    document: Document,
) -> Result<Step, Error> {
    match document.operation {
        Operation::Delete => delete::look(client, settings, document).await,
        Operation::Rollback => rollback::look(client, step_functions, settings, document).await,
        Operation::Create | Operation::Update => Err(Error::invalid("operation", "delete or rollback is allowed here")),
    }
}
