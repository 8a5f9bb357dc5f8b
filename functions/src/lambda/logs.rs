//! A function's log lines: JSON that Lambda's log controls read, each with the run, the image and the instance.

use std::env;

use serde_json::Value;
use tracing::{Span, field, level_filters::LevelFilter};
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder, format, time::SystemTime};

use crate::model::run::Run;

/// The least level that is logged; Lambda sets it from the function's `ApplicationLogLevel`.
const LOG_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// The least level that is logged.
pub(super) fn level() -> LevelFilter {
    env::var(LOG_LEVEL).ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO)
}

/// Lines of JSON with `timestamp` and `level` at the top, as Lambda's log controls read them, and the
/// fields of [`span`] under `span`.
pub(super) fn lines<W>(
    writer: W,
) -> SubscriberBuilder<format::JsonFields, format::Format<format::Json, SystemTime>, LevelFilter, W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_target(false)
        .with_timer(SystemTime)
        .with_writer(writer)
}

/// What every line of an event's logs carries: which run it is about, which image and which instance.
pub(super) fn span(request_id: &str, event: &Value) -> Span {
    let text = |pointers: &[&str]| pointers.iter().find_map(|pointer| event.pointer(pointer).and_then(Value::as_str));
    tracing::info_span!(
        "handle",
        requestId = request_id,
        run = text(&["/run", "/detail/executionArn"]),
        operation = text(&["/operation"]),
        imageId = text(&[
            "/memory/imageId",
            "/arguments/imageId",
            "/rehearsed/imageId",
            "/results/id",
            "/imageId",
            "/detail/ImageId"
        ]),
        instanceId = text(&["/arguments/sourceInstanceId", "/rehearsed/sourceInstanceId", "/request/sourceInstanceId"]),
    )
}

/// Puts the image that an event is found to be about on the lines to come.
pub(crate) fn log_image(image_id: &str) {
    Span::current().record("imageId", field::display(image_id));
}

/// The same for the run.
pub(crate) fn log_run(run: &Run) {
    Span::current().record("run", run.arn());
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Seek},
        sync::Mutex,
    };

    use serde_json::json;

    use super::*;

    #[test]
    fn every_line_names_the_run_the_image_and_the_instance() {
        let mut file = tempfile::tempfile().unwrap();
        let subscriber = lines(Mutex::new(file.try_clone().unwrap())).finish();
        let arguments = json!({"sourceInstanceId": "i-1", "replacedImageId": "ami-old"});
        let event = json!({"run": "arn:run", "operation": "create", "arguments": arguments});
        tracing::subscriber::with_default(subscriber, || {
            span("r-1", &event).in_scope(|| {
                tracing::info!("before");
                log_image("ami-1");
                tracing::info!(wait = 3, "after");
            });
        });
        let lines = read(&mut file);
        let mut expected =
            json!({"name": "handle", "requestId": "r-1", "run": "arn:run", "operation": "create", "instanceId": "i-1"});
        assert_eq!(lines[0]["span"], expected);
        expected["imageId"] = json!("ami-1");
        assert_eq!(lines[1]["span"], expected);
        assert_eq!(
            (&lines[1]["message"], &lines[1]["wait"], &lines[1]["level"]),
            (&json!("after"), &json!(3), &json!("INFO"))
        );
        assert!(lines[1]["timestamp"].is_string());
    }

    fn read(file: &mut File) -> Vec<Value> {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
