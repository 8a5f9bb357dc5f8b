//! What a machine needs before the local AWS can start: MiniStack in a virtual environment, and
//! the built handlers. Both are kept under `target/` and made again only when they are out of date.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Error, Result, bail};
use cargo_local::{compile, needs};
pub use cargo_local::{kept, root};

/// MiniStack's folder in the sources.
pub(crate) fn ministack() -> PathBuf {
    root().join("tests/local-aws/ministack")
}

/// Makes sure that the virtual environment has what `requirements.txt` pins; gives its Python.
pub fn python(say: &dyn Fn(&str)) -> Result<PathBuf> {
    let folder = kept();
    fs::create_dir_all(&folder)?;
    // Test programs and runners may start at the same time.
    let lock = File::create(folder.join("venv.lock"))?;
    lock.lock()?;
    let requirements = ministack().join("requirements.txt");
    let wanted = fs::read(&requirements)?;
    let venv = folder.join("venv");
    let installed = venv.join("installed-requirements.txt");
    let python = venv.join("bin/python");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) && python.exists() {
        return Ok(python);
    }
    say("installing MiniStack in a virtual environment under target/");
    needs::python(None).map_err(Error::msg)?;
    quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
        .context("no virtual environment could be made: install python3-venv")?;
    // The file names all dependencies that are needed.
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"];
    quietly(Command::new(&python).args(pip).arg("--requirement").arg(&requirements))?;
    fs::write(&installed, wanted)?;
    Ok(python)
}

/// Builds the handlers; gives the folder they are in.
pub fn handlers(say: &dyn Fn(&str)) -> Result<PathBuf> {
    say("building the handlers");
    let status =
        compile::command().arg("--quiet").stdout(Stdio::null()).status().context("cargo could not be started")?;
    if !status.success() {
        bail!("the handlers could not be built");
    }
    Ok(root().join("target/debug"))
}

/// Runs a command; what it printed is shown only if it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} could not be started"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // The AWS CLI draws its progress with carriage returns.
    let lines: Vec<_> = said.lines().filter_map(|line| line.rsplit('\r').next()).collect();
    let last = lines[lines.len().saturating_sub(20)..].join("\n");
    bail!("{program}: {}\n{last}", output.status)
}
