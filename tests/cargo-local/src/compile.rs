//! Compiling the functions and the runner.

use std::{env, process::Command};

use crate::root;

/// Cargo, to build every program of the workspace: all at once, so that its dependencies are compiled once,
/// with one set of features.
pub fn command() -> Command {
    let mut build = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    build.current_dir(root()).args(["build", "--workspace", "--bins", "--locked"]);
    // What Cargo tells of the package it runs now; build scripts that look at it would run once more.
    for (name, _) in env::vars_os().filter(|(name, _)| is_about_a_package(&name.to_string_lossy())) {
        build.env_remove(name);
    }
    build
}

fn is_about_a_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}
