//! What the main of every function does: it writes logs, and answers events.

use std::{env, io};

use lambda_runtime::{LambdaEvent, run, service_fn};
use serde::Serialize;
use serde_json::Value;
use tracing::{Instrument, Span, field, level_filters::LevelFilter};
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder, format, time::SystemTime};

use crate::{error::Error, run::Run};

/// The least level that is logged; Lambda sets it from the function's `ApplicationLogLevel`.
const LOG_LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Answers one event after the other, for as long as Lambda lets the process live.
///
/// # Errors
///
/// If the runtime API cannot be reached.
pub async fn serve<T: Serialize>(handle: impl AsyncFn(Value) -> Result<T, Error>) -> Result<(), lambda_runtime::Error> {
    logs(io::stdout).with_max_level(log_level()).init();
    run(service_fn(async |event: LambdaEvent<Value>| {
        let span = span(&event.context.request_id, &event.payload);
        // Boxed, as the compiler cannot lay out the nested future of a whole function.
        Box::pin(handle(event.payload)).instrument(span).await
    }))
    .await
}

fn log_level() -> LevelFilter {
    env::var(LOG_LEVEL).ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO)
}

/// Lines of JSON with `timestamp` and `level` at the top, as Lambda's log controls read them, and the
/// fields of [`span`] under `span`.
fn logs<W>(writer: W) -> SubscriberBuilder<format::JsonFields, format::Format<format::Json, SystemTime>, LevelFilter, W>
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
fn span(request_id: &str, event: &Value) -> Span {
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
    let creates = text("/operation") == Some("create");
    tracing::info_span!(
        "handle",
        requestId = request_id,
        run = text("/run").or_else(|| text("/detail/executionArn")),
        operation = text("/operation"),
        // The image of a replace's request is the old one.
        imageId = text("/imageId")
            .or_else(|| text("/detail/ImageId"))
            .or_else(|| text("/request/imageId").filter(|_| !creates)),
        instanceId = text("/request/sourceInstanceId"),
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
        let subscriber = logs(Mutex::new(file.try_clone().unwrap())).finish();
        let event = json!({"run": "arn:run", "operation": "create", "request": {"sourceInstanceId": "i-1", "imageId": "ami-old"}});
        tracing::subscriber::with_default(subscriber, || {
            span("r-1", &event).in_scope(|| {
                tracing::info!("before");
                log_image("ami-1");
                tracing::info!(wait = 3, "after");
            });
        });
        let lines = lines(&mut file);
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

    fn lines(file: &mut File) -> Vec<Value> {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
