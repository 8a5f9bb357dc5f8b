//! What a Task does when it fails: Retry first, then Catch.

use serde_json::Value;

use super::{DefinitionError, fields::Fields, parse};
use crate::{limits, template::Template};

/// The errors that Step Functions itself raises, as far as this crate knows them.
pub(crate) const ALL: &str = "States.ALL";
pub(crate) const TASK_FAILED: &str = "States.TaskFailed";
pub(crate) const TIMEOUT: &str = "States.Timeout";
pub(crate) const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
pub(crate) const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
pub(crate) const RUNTIME: &str = "States.Runtime";

const RESERVED: [&str; 7] =
    [ALL, TASK_FAILED, TIMEOUT, QUERY_EVALUATION_ERROR, DATA_LIMIT_EXCEEDED, RUNTIME, "States.Permissions"];

/// The names of errors that a retrier or a catcher is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errors(Vec<String>);

impl Errors {
    /// Whether an error is among them. `States.ALL` leaves out `States.DataLimitExceeded`,
    /// `States.TaskFailed` leaves out `States.Timeout`, and nothing takes `States.Runtime`.
    pub(crate) fn include(&self, error: &str) -> bool {
        let matches = |name: &String| match name.as_str() {
            ALL => error != DATA_LIMIT_EXCEEDED,
            TASK_FAILED => error != TIMEOUT,
            name => name == error,
        };
        error != RUNTIME && self.0.iter().any(matches)
    }
}

/// One item of Retry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Retrier {
    pub(crate) errors: Errors,
    interval_seconds: u64,
    backoff_rate: f64,
    pub(crate) max_attempts: u64,
    max_delay_seconds: Option<u64>,
    full_jitter: bool,
}

impl Retrier {
    /// Milliseconds before the next attempt, after so many retries by this item. `draw` gives a number
    /// from 0 up to but without 1.
    pub(crate) fn delay_millis(&self, retries: u64, draw: impl FnOnce() -> f64) -> u64 {
        let grown = self.backoff_rate.powi(i32::try_from(retries).unwrap_or(i32::MAX));
        #[expect(clippy::cast_precision_loss, reason = "far fewer seconds than a float counts exactly")]
        let most = self.max_delay_seconds.unwrap_or(limits::SECONDS) as f64;
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        let seconds = (self.interval_seconds as f64 * grown).min(most);
        let seconds = if self.full_jitter { seconds * draw() } else { seconds };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive and small")]
        let millis = (seconds * 1000.0).round() as u64;
        millis
    }
}

/// One item of Catch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Catcher {
    pub(crate) errors: Errors,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
    pub(crate) next: String,
}

pub(super) fn retriers(fields: &mut Fields<'_>) -> Result<Vec<Retrier>, DefinitionError> {
    let items = fields.list("Retry")?.unwrap_or_default();
    let mut retriers = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut item = Fields::of(item, "an item of Retry", &fields.at(&format!("Retry[{index}]")))?;
        item.text("Comment")?;
        let backoff_rate = match item.take("BackoffRate") {
            None => 2.0,
            Some(rate) => rate
                .as_f64()
                .filter(|rate| *rate >= 1.0)
                .ok_or_else(|| item.error("BackoffRate", "must be a number that is 1 or more"))?,
        };
        let full_jitter = match item.text("JitterStrategy")?.as_deref() {
            None | Some("NONE") => false,
            Some("FULL") => true,
            Some(_) => return Err(item.error("JitterStrategy", "must be NONE or FULL")),
        };
        let interval_seconds = item.whole("IntervalSeconds", 1, limits::SECONDS)?.unwrap_or(1);
        let max_delay_seconds = item.whole("MaxDelaySeconds", 1, 31_622_400)?;
        if max_delay_seconds.is_some_and(|most| most <= interval_seconds) {
            return Err(item.error("MaxDelaySeconds", "must be greater than IntervalSeconds"));
        }
        retriers.push(Retrier {
            errors: errors(&mut item, index + 1 == items.len())?,
            interval_seconds,
            backoff_rate,
            max_attempts: item.whole("MaxAttempts", 0, limits::SECONDS)?.unwrap_or(3),
            max_delay_seconds,
            full_jitter,
        });
        item.end()?;
    }
    Ok(retriers)
}

pub(super) fn catchers(fields: &mut Fields<'_>) -> Result<Vec<Catcher>, DefinitionError> {
    let items = fields.list("Catch")?.unwrap_or_default();
    let mut catchers = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut item = Fields::of(item, "an item of Catch", &fields.at(&format!("Catch[{index}]")))?;
        item.text("Comment")?;
        let errors = errors(&mut item, index + 1 == items.len())?;
        let (assign, output) = (parse::assign(&mut item)?, item.template("Output")?);
        catchers.push(Catcher { errors, assign, output, next: item.required_text("Next")? });
        item.end()?;
    }
    Ok(catchers)
}

fn errors(item: &mut Fields<'_>, last: bool) -> Result<Errors, DefinitionError> {
    let names = item.list("ErrorEquals")?.ok_or_else(|| item.error("ErrorEquals", "is missing"))?;
    let mut errors = Vec::new();
    for name in names {
        let Value::String(name) = name else { return Err(item.error("ErrorEquals", "must be a list of strings")) };
        if name.starts_with("States.") && !RESERVED.contains(&name.as_str()) {
            return Err(item.error("ErrorEquals", format!("{name} is not supported")));
        }
        errors.push(name);
    }
    if errors.iter().any(|name| name == ALL) && (errors.len() > 1 || !last) {
        return Err(item.error("ErrorEquals", "States.ALL must be alone, and in the last item"));
    }
    Ok(Errors(errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(names: &[&str]) -> Errors {
        Errors(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn states_all_takes_all_but_what_ends_an_execution_at_once() {
        let all = errors(&[ALL]);
        assert!(["Throttled", TIMEOUT, TASK_FAILED, QUERY_EVALUATION_ERROR].iter().all(|error| all.include(error)));
        assert!(!all.include(DATA_LIMIT_EXCEEDED));
        assert!(!all.include(RUNTIME));
        assert!(errors(&[DATA_LIMIT_EXCEEDED]).include(DATA_LIMIT_EXCEEDED));
        assert!(!errors(&[RUNTIME]).include(RUNTIME));
    }

    #[test]
    fn states_task_failed_takes_all_but_a_timeout() {
        let failed = errors(&[TASK_FAILED]);
        assert!(["Throttled", TASK_FAILED, QUERY_EVALUATION_ERROR].iter().all(|error| failed.include(error)));
        assert!(!failed.include(TIMEOUT));
    }

    #[test]
    fn a_name_takes_only_itself() {
        assert!(errors(&["Throttled", "Unavailable"]).include("Unavailable"));
        assert!(!errors(&["Throttled"]).include("throttled"));
    }

    #[test]
    fn the_delay_grows_up_to_its_maximum_and_full_jitter_draws_below_it() {
        let mut retrier = Retrier {
            errors: errors(&[ALL]),
            interval_seconds: 15,
            backoff_rate: 2.0,
            max_attempts: 8,
            max_delay_seconds: Some(120),
            full_jitter: false,
        };
        let delays: Vec<u64> = (0..5).map(|retries| retrier.delay_millis(retries, || unreachable!())).collect();
        assert_eq!(delays, [15_000, 30_000, 60_000, 120_000, 120_000]);
        retrier.full_jitter = true;
        assert_eq!(retrier.delay_millis(1, || 0.5), 15_000);
        assert_eq!(retrier.delay_millis(9, || 0.0), 0);
    }
}
