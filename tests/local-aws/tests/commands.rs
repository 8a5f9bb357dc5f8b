//! The runner as a process, where no local AWS has to be started.

use std::process::{Command, Stdio};

fn simulate(arguments: [&str; 2]) -> Command {
    let mut runner = Command::new(env!("CARGO_BIN_EXE_local"));
    runner.arg("simulate").args(arguments);
    runner
}

#[test]
fn many_simulated_runs_are_counted_and_one_of_them_is_told() {
    for (arguments, expected) in [(["--runs", "2"], "2 runs of seed 1"), (["--only", "1"], " answers {")] {
        let output = simulate(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn who_has_read_enough_may_close_the_pipe() {
    let mut runner = simulate(["--only", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(runner.stdout.take());
    let output = runner.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
