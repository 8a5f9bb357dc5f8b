//! What was found: a line for each check while it goes, and a document at the end.

use std::{
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::run::Waits;

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is as it must be.
    Passed,
    /// It is not.
    Failed,
    /// It could not be found out.
    Unknown,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name, with slashes between its parts.
    pub id: String,
    /// What it says.
    pub verdict: Verdict,
    /// What must be.
    pub expected: String,
    /// What is.
    pub saw: String,
    /// How many seconds it took.
    pub seconds: f64,
    /// How many states its executions entered.
    pub transitions: u64,
    /// How the waits of its executions ended.
    pub waits: Waits,
}

impl Check {
    /// A check that took no time of its own.
    pub fn new(id: impl Into<String>, verdict: Verdict, expected: impl Into<String>, saw: impl Into<String>) -> Self {
        let (id, expected, saw) = (id.into(), expected.into(), saw.into());
        Self { id, verdict, expected, saw, seconds: 0.0, transitions: 0, waits: Waits::default() }
    }

    /// A check of something that is or is not as it must be.
    pub fn holds(id: impl Into<String>, holds: bool, expected: impl Into<String>, saw: impl Into<String>) -> Self {
        Self::new(id, if holds { Verdict::Passed } else { Verdict::Failed }, expected, saw)
    }

    /// A check of which AWS did not tell what it needs.
    pub fn unknown(id: impl Into<String>, expected: impl Into<String>, error: &anyhow::Error) -> Self {
        Self::new(id, Verdict::Unknown, expected, format!("{error:#}"))
    }

    fn line(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Passed => "passed ",
            Verdict::Failed => "FAILED ",
            Verdict::Unknown => "unknown",
        };
        let time = if self.seconds >= 1.0 { format!("  {:.0} s", self.seconds) } else { String::new() };
        if self.verdict == Verdict::Passed {
            return format!("{verdict}  {}{time}", self.id);
        }
        format!("{verdict}  {}{time}\n         expected: {}\n         saw: {}", self.id, self.expected, self.saw)
    }
}

/// All checks, in the order in which they were done.
pub struct Report<'a> {
    checks: Mutex<Vec<Check>>,
    say: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Report<'a> {
    /// One that tells of each check as it is done.
    pub fn new(say: &'a (dyn Fn(&str) + Sync)) -> Self {
        Self { checks: Mutex::default(), say }
    }

    /// Adds a check.
    pub fn add(&self, check: Check) {
        (self.say)(&check.line());
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).push(check);
    }

    /// Says something that is no check.
    pub fn say(&self, line: &str) {
        (self.say)(line);
    }

    /// All checks so far.
    pub fn checks(&self) -> Vec<Check> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The end of it.
    pub fn finish(&self, about: About) -> Finished {
        Finished { about, checks: self.checks() }
    }
}

/// What was proved, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The stack's name.
    pub stack: String,
    /// The account.
    pub account: String,
    /// The Region.
    pub region: String,
    /// How deep.
    pub depth: String,
    /// What all it makes is tagged with.
    pub run: String,
    /// When it began, in UTC.
    pub began: String,
    /// How many seconds it took.
    pub seconds: f64,
}

/// A whole report.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    about: About,
    checks: Vec<Check>,
}

/// US dollars for each state that an execution enters, in us-east-1.
pub const PER_TRANSITION: f64 = 0.000_025;

impl Finished {
    /// Whether everything held: nothing has failed, and nothing is unknown.
    pub fn all_held(&self) -> bool {
        self.count(Verdict::Passed) == self.checks.len()
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// The checks that did not hold.
    pub fn others(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.verdict != Verdict::Passed)
    }

    fn transitions(&self) -> u64 {
        self.checks.iter().map(|check| check.transitions).sum()
    }

    /// A line of totals.
    pub fn totals(&self) -> String {
        let [passed, failed, unknown] =
            [Verdict::Passed, Verdict::Failed, Verdict::Unknown].map(|verdict| self.count(verdict));
        let transitions = self.transitions();
        format!(
            "{passed} passed, {failed} failed, {unknown} unknown in {}; the executions entered {transitions} states (${:.3})",
            duration(Duration::from_secs_f64(self.about.seconds)),
            cost(transitions)
        )
    }

    /// For a program.
    pub fn json(&self) -> Value {
        json!({"about": self.about, "checks": self.checks, "allHeld": self.all_held()})
    }

    /// For an issue or an audit.
    pub fn markdown(&self) -> String {
        let About { stack, account, region, depth, run, began, .. } = &self.about;
        let mut text = format!(
            "# {stack} in {account}, {region}\n\nDepth {depth}, begun {began}, tag {run}.\n\n{}.\n",
            self.totals()
        );
        text += "\n| check | verdict | expected | saw | seconds | states | $ | waits ended by an event, by their time |\n|---|---|---|---|---|---|---|---|\n";
        for check in &self.checks {
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
            let verdict = json!(check.verdict);
            let verdict = verdict.as_str().unwrap_or_default();
            let verdict = if verdict == "passed" { verdict.to_owned() } else { format!("**{verdict}**") };
            let (expected, saw) = (cell(&check.expected), cell(&check.saw));
            let _ = writeln!(
                text,
                "| {} | {verdict} | {expected} | {saw} | {:.0} | {} | {:.4} | {}, {} |",
                cell(&check.id),
                check.seconds,
                check.transitions,
                cost(check.transitions),
                check.waits.ended_by_event.len(),
                check.waits.ended_by_time.len()
            );
        }
        text
    }
}

/// What entering so many states costs, in US dollars.
#[expect(clippy::cast_precision_loss, reason = "there are some thousand")]
fn cost(transitions: u64) -> f64 {
    transitions as f64 * PER_TRANSITION
}

/// `83 s`, or `12 min`.
pub fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(verdicts: &[Verdict]) -> Finished {
        let report = Report::new(&|_| {});
        for (number, verdict) in verdicts.iter().enumerate() {
            let check = Check::new(format!("look/{number}"), *verdict, "a|b", "c\nd");
            report.add(Check { transitions: 10, ..check });
        }
        report.finish(About { stack: "s".into(), seconds: 130.0, ..About::default() })
    }

    #[test]
    fn what_is_unknown_did_not_hold() {
        assert!(finished(&[Verdict::Passed]).all_held());
        assert!(!finished(&[Verdict::Passed, Verdict::Unknown]).all_held());
        assert!(!finished(&[Verdict::Failed]).all_held());
        let totals = finished(&[Verdict::Passed, Verdict::Failed]).totals();
        assert_eq!(totals, "1 passed, 1 failed, 0 unknown in 2 min; the executions entered 20 states ($0.001)");
    }

    #[test]
    fn a_table_has_a_line_for_each_check() {
        let text = finished(&[Verdict::Passed, Verdict::Failed]).markdown();
        assert!(text.contains("| look/1 | **failed** | a\\|b | c d | 0 | 10 | 0.0003 | 0, 0 |"), "{text}");
        let checks = &finished(&[Verdict::Unknown]).json()["checks"];
        assert_eq!(checks[0]["verdict"], "unknown");
    }
}
