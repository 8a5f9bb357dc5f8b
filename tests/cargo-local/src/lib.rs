//! What `cargo local` does before anything is compiled: it reads its command, says what it is going to do, and
//! checks what the machine needs.

use std::path::{Path, PathBuf};

pub mod command;
pub mod compile;
pub mod needs;

/// The workspace's folder.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

/// The folder for everything the local AWS keeps.
pub fn kept() -> PathBuf {
    root().join("target/local-aws")
}
