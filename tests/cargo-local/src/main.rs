//! `cargo local`: says what it is going to do, compiles, and gives way to the runner.

use std::{
    env,
    io::{Write, stderr, stdout},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use cargo_local::{
    command::{Command, HELP},
    compile, needs,
};

fn main() -> ExitCode {
    let words: Vec<_> = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match prepare(&words) {
        Ok(Some(program)) => {
            // It takes the place of this process, so that it has the signals and gives the exit status.
            let error = process::Command::new(program).args(words).exec();
            say(&format!("the runner could not be started: {error}"));
            ExitCode::FAILURE
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&problem);
            ExitCode::FAILURE
        }
    }
}

/// Gives the runner's program, if there is something to run.
fn prepare(words: &[String]) -> Result<Option<PathBuf>, String> {
    let command = Command::parse(words.iter().cloned())?;
    if command == Command::Help {
        // A closed pipe is nobody who reads it.
        let _ = stdout().write_all(HELP.as_bytes());
        return Ok(None);
    }
    let own = env::current_exe().map_err(|error| format!("the runner was not found: {error}"))?;
    let program = own.with_file_name("local");
    say(&format!("cargo local {}; {}", command.purpose(), duration(&program, &command)));
    if let Command::Run { file, .. } = &command {
        needs::python(Some(&needs::file(file)?))?;
    } else if command != Command::Picture {
        needs::python(None)?;
    }
    needs::c_compiler()?;
    let status = compile::command().status().map_err(|error| format!("cargo could not be started: {error}"))?;
    if status.success() { Ok(Some(program)) } else { Err("it could not be compiled".to_owned()) }
}

fn duration(program: &Path, command: &Command) -> &'static str {
    match command {
        _ if !program.exists() => "the first time, compiling takes about five minutes on two cores",
        Command::Run { .. } | Command::Chaos { .. } | Command::Up { .. } | Command::Record { .. } => {
            "with nothing new to compile, the local AWS is up within ten seconds"
        }
        _ => "with nothing new to compile, it starts at once",
    }
}

fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
