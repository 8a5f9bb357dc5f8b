//! What EventBridge sends to the functions that it starts.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use serde_json::Value;

use crate::error::Error;

/// Reads an event.
///
/// # Errors
///
/// `InvalidRequest` if it is none.
pub fn parse(event: Value) -> Result<EventBridgeEvent<Value>, Error> {
    serde_json::from_value(event)
        .map_err(|error| Error::invalid("input", format!("an event of EventBridge is required: {error}")))
}

/// A text of the event's detail.
pub(crate) fn detail<'a>(event: &'a EventBridgeEvent<Value>, field: &str) -> Result<&'a str, Error> {
    let text = event.detail.get(field).and_then(Value::as_str);
    text.ok_or_else(|| Error::invalid(format!("detail.{field}"), "a text is required"))
}
