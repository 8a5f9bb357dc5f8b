//! What happened in a run, line by line.

use std::fmt::Write;

use local_step_functions::{Engine, Page};
use serde_json::Value;

use crate::{template::DEPLOYED, time};

/// Lines with their time, in milliseconds since 1970.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Vec<(i64, String)>);

impl Trace {
    pub(crate) fn add(&mut self, millis: i64, line: String) {
        self.0.push((millis, line));
    }

    /// Adds the states that executions entered.
    pub(crate) fn add_histories(&mut self, engine: &Engine) {
        let mut entered = vec![];
        for machine in [&DEPLOYED.operation_arn, &DEPLOYED.lifecycle_arn] {
            for execution in all(|token| engine.list_executions(machine, None, Some(1000), token).ok()) {
                let history =
                    |token: Option<&str>| engine.get_execution_history(&execution.arn, false, Some(1000), token).ok();
                for event in all(history) {
                    let text = |name: &str| event.details[name].as_str().map(str::to_owned);
                    let what = match event.event_type.as_str() {
                        kind if kind.ends_with("StateEntered") => text("name").unwrap_or_default(),
                        kind if kind.starts_with("Execution") => {
                            let error = text("error").map(|error| format!(" {error}")).unwrap_or_default();
                            let cause = text("cause").map(|cause| format!(": {cause}")).unwrap_or_default();
                            format!("{kind}{error}{cause}")
                        }
                        kind @ ("TaskFailed" | "TaskTimedOut") => {
                            format!("{kind} {}", text("error").unwrap_or_default())
                        }
                        _ => continue,
                    };
                    entered.push((event.timestamp_millis, format!("{:<14} {what}", short(&execution.arn))));
                }
            }
        }
        self.0.splice(0..0, entered);
        self.0.sort_by_key(|(millis, _)| *millis);
    }

    /// One line each.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (millis, line) in &self.0 {
            let millis = time::since_start(*millis);
            let (seconds, rest) = (millis / 1000, millis % 1000);
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{hours:02}:{minutes:02}:{seconds:02}.{rest:03}  {line}");
        }
        text
    }
}

/// All items of a list in pages.
fn all<T>(page: impl Fn(Option<&str>) -> Option<Page<T>>) -> Vec<T> {
    let (mut items, mut token) = (vec![], None);
    while let Some(mut next) = page(token.as_deref()) {
        items.append(&mut next.items);
        token = next.next_token;
        if token.is_none() {
            break;
        }
    }
    items
}

/// An execution's name.
pub(crate) fn short(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

/// A document on part of a line.
pub(crate) fn brief(document: &Value) -> String {
    let text = document.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
