//! Keeps evaluations for the reference implementation of JSONata, which `.ci/jsonata/check.mjs` lets make them again.

use std::{
    collections::HashSet,
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::Path,
    process,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{Evaluation, Recorder};

/// Names the folder.
const FOLDER: &str = "JSONATA_EVALUATIONS";

/// Writes each evaluation that this process has not made before into a file of its own in the folder that the
/// environment names. None if it names none.
pub(crate) fn keeper() -> Option<Recorder> {
    static KEEPER: LazyLock<Option<Recorder>> = LazyLock::new(|| {
        let folder = env::var(FOLDER).ok()?;
        match file(Path::new(&folder)) {
            Ok(file) => Some(into(file)),
            Err(error) => panic!("{FOLDER}={folder}: {error}"),
        }
    });
    KEEPER.clone()
}

fn file(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    File::create(folder.join(format!("{}.jsonl", process::id())))
}

fn into(file: File) -> Recorder {
    let kept = Mutex::new((file, HashSet::new()));
    Arc::new(move |evaluation| {
        let line = line(&evaluation);
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let (file, seen) = &mut *kept.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert(hasher.finish())
            && let Err(error) = file.write_all(line.as_bytes())
        {
            panic!("an evaluation is lost: {error}");
        }
    })
}

/// `expression`, `bindings`, and `result` or `error`; neither where the expression returned nothing.
fn line(evaluation: &Evaluation) -> String {
    let mut line = json!({"expression": evaluation.expression, "bindings": evaluation.bindings});
    match &evaluation.result {
        Ok(Some(result)) => line["result"] = result.clone(),
        Ok(None) => {}
        Err(error) => line["error"] = Value::from(error.as_str()),
    }
    format!("{line}\n")
}
