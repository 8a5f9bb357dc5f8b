//! What the executions do, as MiniStack writes it down. Whoever waits for it reads it here: to answer questions keeps
//! MiniStack from its other work.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use serde::Deserialize;
use serde_json::Value;

use crate::ministack;

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// SUCCEEDED, with its output.
    Succeeded(Value),
    /// FAILED, TIMED_OUT or ABORTED, with its error's name and cause.
    Ended {
        /// The status, as Step Functions writes it.
        status: String,
        /// The error's name.
        error: String,
        /// The cause.
        cause: String,
    },
}

/// A state that an execution, or a child of it, has entered.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// The execution's name.
    pub execution: String,
    /// What the execution does; `run` for a run itself.
    pub operation: String,
    /// The event's id in the execution's history.
    pub id: i64,
    /// The state's name.
    pub state: String,
    /// When.
    pub at: DateTime,
}

/// The file in MiniStack's folder.
const FILE: &str = "journal";

/// The journal of all executions of a MiniStack.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    seen: Mutex<Seen>,
}

/// What was read so far, by the execution's ARN.
#[derive(Debug, Default)]
struct Seen {
    bytes: u64,
    entered: BTreeMap<String, Vec<Entered>>,
    ended: BTreeMap<String, Ended>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Line {
    Entered { execution_arn: String, operation: String, id: i64, state: String, at: String },
    Ended(Ended),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ended {
    execution_arn: String,
    status: String,
    output: Option<String>,
    error: Option<String>,
    cause: Option<String>,
}

impl Journal {
    pub(crate) fn of(ministack: &Path) -> Self {
        Self { folder: ministack.to_owned(), seen: Mutex::default() }
    }

    /// How an execution has ended; none while it runs.
    ///
    /// # Errors
    ///
    /// If MiniStack has ended before it.
    pub(crate) fn outcome(&self, arn: &str) -> Result<Option<Outcome>> {
        let outcome = self.read(|seen| seen.ended.get(arn).map(Ended::outcome).transpose())??;
        ensure!(outcome.is_some() || ministack::is_in_use(&self.folder), "MiniStack has ended before {arn}");
        Ok(outcome)
    }

    /// The states that an execution and its children have entered, one execution's after the other's. A child is of a
    /// machine, and its name begins with the execution's and a dash.
    pub(crate) fn entered(&self, arn: &str, machine_of_children: &str) -> Result<Vec<Entered>> {
        let children = machine_of_children.replacen(":stateMachine:", ":execution:", 1);
        let name = arn.rsplit(':').next().unwrap_or_default();
        let child = format!("{children}:{name}-");
        self.read(|seen| {
            let ours = seen.entered.iter().filter(|(one, _)| *one == arn || one.starts_with(&child));
            ours.flat_map(|(_, entered)| entered).cloned().collect()
        })
    }

    fn read<T>(&self, ask: impl FnOnce(&Seen) -> T) -> Result<T> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match File::open(self.folder.join(FILE)) {
            // It is there with the first line.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ask(&seen)),
            file => file?,
        };
        if file.metadata()?.len() > seen.bytes {
            file.seek(SeekFrom::Start(seen.bytes))?;
            let mut text = vec![];
            file.read_to_end(&mut text)?;
            // The last line may just be written. One that nobody can read takes no other with it.
            for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
                seen.bytes += line.len() as u64;
                seen.add(serde_json::from_slice(line).context("the journal of the executions")?)?;
            }
        }
        Ok(ask(&seen))
    }
}

impl Seen {
    fn add(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Entered { execution_arn, operation, id, state, at } => {
                let execution = execution_arn.rsplit(':').next().unwrap_or_default().to_owned();
                let at = DateTime::from_str(&at, DateTimeFormat::DateTimeWithOffset)?;
                let entered = Entered { execution, operation, id, state, at };
                self.entered.entry(execution_arn).or_default().push(entered);
            }
            Line::Ended(ended) => drop(self.ended.insert(ended.execution_arn.clone(), ended)),
        }
        Ok(())
    }
}

impl Ended {
    fn outcome(&self) -> Result<Outcome> {
        if self.status == "SUCCEEDED" {
            return Ok(Outcome::Succeeded(serde_json::from_str(self.output.as_deref().unwrap_or("null"))?));
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Ok(Outcome::Ended { status: self.status.clone(), error: text(&self.error), cause: text(&self.cause) })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, OpenOptions},
        io::Write,
        process,
    };

    use serde_json::json;

    use super::*;
    use crate::prepare;

    const RUN: &str = "arn:aws:states:us-east-1:000000000000:execution:app-lifecycle:nightly";
    const OPERATIONS: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:app-operation";

    #[test]
    fn each_line_counts_once_it_is_whole_and_no_end_is_waited_for_that_cannot_come() -> Result<()> {
        let folder = prepare::kept().join(format!("journal-{}", process::id()));
        fs::create_dir_all(&folder)?;
        // As long as MiniStack runs, it holds its log.
        let log = File::create(folder.join(ministack::LOG))?;
        log.lock()?;
        let journal = Journal::of(&folder);
        assert_eq!(journal.outcome(RUN)?, None);
        let mut file = OpenOptions::new().create(true).append(true).open(folder.join(FILE))?;
        let mut enter = |machine: &str, name: &str, state: &str| {
            let arn = format!("arn:aws:states:us-east-1:000000000000:execution:{machine}:{name}");
            let at = "2026-11-23T00:00:00.000Z";
            writeln!(
                file,
                r#"{{"entered": {{"executionArn": "{arn}", "operation": "run", "id": 2, "state": "{state}", "at": "{at}"}}}}"#
            )
        };
        enter("app-lifecycle", "nightly", "Read the request")?;
        enter("app-operation", "nightly-1", "Begin")?;
        enter("app-operation", "nightly2-1", "Look")?;
        enter("app-two-operation", "nightly-1", "Wait")?;
        let states: Vec<_> = journal.entered(RUN, OPERATIONS)?.into_iter().map(|entered| entered.state).collect();
        assert_eq!(states, ["Read the request", "Begin"]);

        let ended = format!(r#"{{"ended": {{"executionArn": "{RUN}", "status": "SUCCEEDED", "output": "{{}}"}}}}"#);
        let (begin, rest) = ended.split_at(40);
        write!(file, "{begin}")?;
        assert_eq!(journal.outcome(RUN)?, None);
        writeln!(file, "{rest}")?;
        assert_eq!(journal.outcome(RUN)?, Some(Outcome::Succeeded(json!({}))));

        let failed = r#"{"ended": {"executionArn": "failed", "status": "FAILED", "error": "No", "cause": "why"}}"#;
        writeln!(file, "{{}}\n{failed}")?;
        assert!(journal.outcome("failed").is_err());
        assert!(matches!(journal.outcome("failed")?, Some(Outcome::Ended { error, .. }) if error == "No"));

        drop(log);
        let error = journal.outcome("another").err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("MiniStack has ended before another"));
        assert!(journal.outcome(RUN)?.is_some());
        Ok(fs::remove_dir_all(folder)?)
    }
}
