//! What must be there before anything is compiled.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{kept, root};

const SCRIPT: &str = include_str!("needs.py");

/// Checks that there is a C compiler, which the crate `ring` needs.
///
/// # Errors
///
/// A sentence that says what to install.
pub fn c_compiler() -> Result<(), String> {
    // One of its own is the user's concern.
    let is_chosen = |(name, _): (std::ffi::OsString, _)| {
        let name = name.to_string_lossy();
        name == "CC" || name.starts_with("CC_") || name.ends_with("_CC")
    };
    if env::vars_os().any(is_chosen) || works(Command::new("cc").arg("--version").output()) {
        return Ok(());
    }
    Err("a C compiler, cc, was not found: install one, on Debian with apt-get install build-essential".to_owned())
}

fn works(output: std::io::Result<Output>) -> bool {
    output.is_ok_and(|output| output.status.success())
}

/// Checks Python and its venv module, and that a file with a request has JSON.
///
/// # Errors
///
/// A sentence that says what is missing or wrong.
pub fn python(request: Option<&Path>) -> Result<(), String> {
    // Where the virtual environment is complete, its Python is the quicker one to start.
    let venv = kept().join("venv");
    let is_complete = venv.join("installed-requirements.txt").exists() && venv.join("bin/python").exists();
    let python = if is_complete { venv.join("bin/python") } else { PathBuf::from("python3") };
    check_with(&python, request)
}

fn check_with(python: &Path, request: Option<&Path>) -> Result<(), String> {
    // What is no regular file, such as a pipe, can be read only once.
    let file = request.filter(|file| file.is_file());
    let Ok(output) = Command::new(python).args(["-c", SCRIPT]).args(file).output() else {
        return Err("python3 was not found: install Python 3.10 or newer with its venv module".to_owned());
    };
    match String::from_utf8_lossy(&output.stderr).lines().last() {
        _ if output.status.success() => Ok(()),
        Some(problem) => Err(problem.to_owned()),
        None => Err(format!("python3 does not work: {}", output.status)),
    }
}

/// The file of that name, in this folder or else in the workspace's.
///
/// # Errors
///
/// A sentence that names it.
pub fn file(name: &Path) -> Result<PathBuf, String> {
    let places = [name.to_owned(), root().join(name)];
    let found = places.into_iter().find(|place| place.exists() && !place.is_dir());
    found.ok_or_else(|| format!("{}: must be a file with a request as JSON", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_from_the_workspaces_folder() {
        assert!(file(Path::new("events/requests/create.json")).is_ok());
        assert_eq!(
            file(Path::new("events/requests")),
            Err("events/requests: must be a file with a request as JSON".to_owned())
        );
    }

    #[test]
    fn a_file_that_is_no_json_is_refused_with_its_name_and_the_place() {
        assert_eq!(python(Some(&root().join("events/requests/create.json"))), Ok(()));
        let problem = python(Some(&root().join("README.md"))).expect_err("no JSON");
        assert!(problem.contains("README.md is no JSON: ") && problem.contains("line 1"), "{problem}");
    }

    #[test]
    fn a_missing_or_broken_python_is_refused_with_one_sentence() {
        let missing = check_with(Path::new("/nowhere/python3"), None).expect_err("no Python");
        assert!(missing.starts_with("python3 was not found"), "{missing}");
        let broken = check_with(Path::new("false"), None).expect_err("no Python");
        assert!(broken.starts_with("python3 does not work"), "{broken}");
    }
}
