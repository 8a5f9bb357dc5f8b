//! What the code and the local EC2 take for granted about AWS, though no document or recording of AWS says it: each is
//! a question to AWS itself.

mod images;
mod looks;
mod runs;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;
use chrono::Utc;

use crate::{recording::Recording, report::Check, scene::Stage};

/// Something that is taken for granted.
#[derive(Clone, Copy, Debug)]
pub struct Assumption {
    /// Its name.
    pub id: &'static str,
    /// What is assumed.
    pub text: &'static str,
}

/// All of them, in the order in which they are asked.
pub const ASSUMPTIONS: &[Assumption] = &[
    Assumption {
        id: "codes/unknown-image",
        text: "DescribeImages of an id that never was answers InvalidAMIID.NotFound",
    },
    Assumption { id: "codes/malformed-image", text: "DescribeImages of a malformed id answers InvalidAMIID.Malformed" },
    Assumption {
        id: "codes/unknown-snapshot",
        text: "DescribeSnapshots of an id that never was answers InvalidSnapshot.NotFound",
    },
    Assumption {
        id: "bin/unknown-image",
        text: "ListImagesInRecycleBin of an id that is not there answers an empty list, InvalidAMIID.NotFound or InvalidAMIID.Unavailable",
    },
    Assumption {
        id: "bin/unknown-snapshot",
        text: "ListSnapshotsInRecycleBin of an id that is not there answers an empty list or InvalidSnapshot.NotFound",
    },
    Assumption { id: "create/what-shows-first", text: "a new image shows within seconds as pending, with its tags" },
    Assumption {
        id: "create/snapshots-show",
        text: "a snapshot of a new image shows within a minute, by its description and its tag together",
    },
    Assumption { id: "create/duplicate-name", text: "CreateImage with a taken name answers InvalidAMIName.Duplicate" },
    Assumption {
        id: "create/unknown-device",
        text: "CreateImage that leaves an unknown device out makes the image all the same",
    },
    Assumption { id: "create/root-left-out", text: "CreateImage that leaves the root device out is refused" },
    Assumption {
        id: "create/malformed-name-dry",
        text: "a dry run of CreateImage with a malformed name answers InvalidAMIName.Malformed or DryRunOperation",
    },
    Assumption { id: "create/progress", text: "the progress of a snapshot grows from 0 to 100 %, and may jump" },
    Assumption { id: "update/empty-description", text: "ModifyImageAttribute takes an empty description" },
    Assumption {
        id: "delete/snapshot-in-use",
        text: "DeleteSnapshot of an image's snapshot answers InvalidSnapshot.InUse",
    },
    Assumption { id: "delete/locked-snapshot", text: "DeleteSnapshot of a locked snapshot answers SnapshotLocked" },
    Assumption { id: "delete/protected", text: "DeregisterImage of a protected image answers OperationNotPermitted" },
    Assumption {
        id: "delete/what-shows-after",
        text: "after DeregisterImage the image is gone within a minute, as an empty list or InvalidAMIID.NotFound or InvalidAMIID.Unavailable",
    },
    Assumption {
        id: "delete/twice",
        text: "a second DeregisterImage answers InvalidAMIID.Unavailable or InvalidAMIID.NotFound",
    },
    Assumption {
        id: "runs/same-name-running",
        text: "StartExecution with the name and input of a running execution gives that execution",
    },
    Assumption {
        id: "runs/same-name-closed",
        text: "StartExecution with the name of a closed execution answers ExecutionAlreadyExists",
    },
    Assumption {
        id: "runs/token",
        text: "the parameters of a TaskScheduled event have the token that the task waits with",
    },
];

/// Where answers of AWS itself are kept, beside the sources.
pub fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

/// What is taken for granted and whether AWS was seen to do so, as a table in Markdown.
pub fn table(recordings: &[Recording]) -> String {
    let mut table = "| assumption | seen on AWS |\n|---|---|\n".to_owned();
    for Assumption { id, text } in ASSUMPTIONS {
        let seen = recordings.iter().find(|one| one.probe == *id && one.origin == AWS);
        let seen = seen.map_or_else(
            || "no".to_owned(),
            |one| {
                let verdict = match one.holds {
                    Some(true) => "yes",
                    Some(false) => "**AWS does otherwise**",
                    None => "asked, and not told",
                };
                format!("{verdict}, {}, {}", one.day, one.region)
            },
        );
        let _ = writeln!(table, "| `{id}`: {text} | {seen} |");
    }
    table
}

/// The origin of recordings of AWS itself.
pub const AWS: &str = "AWS";

/// Asks them all. What AWS answers goes into a folder.
pub async fn ask_all(stage: &Stage<'_>, instance: &str, folder: &Path, origin: &str) {
    looks::ask(stage, folder, origin).await;
    images::ask(stage, instance, folder, origin).await;
    runs::ask(stage, instance, folder, origin).await;
}

/// A probe's place.
#[derive(Clone, Copy)]
struct Probe<'a> {
    stage: Stage<'a>,
    folder: &'a Path,
    origin: &'a str,
}

impl Probe<'_> {
    /// Asks, compares the answer with what is assumed, and writes it down.
    async fn ask(&self, id: &'static str, ask: impl AsyncFnOnce() -> Result<(bool, String)>) {
        let expected = ASSUMPTIONS.iter().find(|assumption| assumption.id == id).map_or("", |one| one.text);
        // What came before is nobody's.
        let _ = self.stage.aws.take_exchanges();
        let (check, holds) = match ask().await {
            Ok((holds, saw)) => (Check::holds(format!("probe/{id}"), holds, expected, saw), Some(holds)),
            Err(error) => (Check::unknown(format!("probe/{id}"), expected, &error), None),
        };
        let exchanges = self.stage.aws.take_exchanges();
        let day = Utc::now().format("%Y-%m-%d").to_string();
        let stack = self.stage.stack;
        let (whole, begins) = (self.stage.world.value(), format!("{}-", stack.name));
        let account = (stack.caller.account.as_str(), "111122223333");
        let secrets = [(whole.as_str(), "STACK/ID"), (begins.as_str(), "STACK-"), account];
        let recording = Recording::new(id, (self.origin, &stack.region, &day), holds, &exchanges, &secrets);
        let written = recording.write(self.folder);
        self.stage.report.add(check);
        if let Err(error) = written {
            self.stage.report.say(&format!("the recording cannot be written: {error:#}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_aws_itself_has_answered_counts_as_seen() {
        let recording = |origin: &str| {
            Recording::new(ASSUMPTIONS[0].id, (origin, "eu-west-1", "2026-11-28"), Some(false), &[], &[])
        };
        assert!(!table(&[recording("local")]).contains("2026"));
        assert_eq!(table(&[recording(AWS)]).matches("| **AWS does otherwise**, 2026-11-28, eu-west-1 |").count(), 1);
    }
}
