"""A copy of the project that can be broken, and its tests."""

import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

PROJECT = pathlib.Path(__file__).parents[2]
ROOT = PROJECT / "target/sabotage/copy"
#: Tells the processes that a test starts which mutation is on.
SWITCH = ROOT.with_name("on")

#: The tests that start no process, the fastest first; of the simulation those of the invariants.
IN_PROCESS = ["ami_from_instance", "machines", "engine", "documents", "handlers", "pace", "simulation"]
WITH_PROCESSES = ["end_to_end", "stress"]
SKIPPED = {"simulation": ["--skip", "the_same_seed"], "stress": ["--skip", "deploys::"]}
#: A broken function may never answer. What a test computes in vain does not depend on how busy the computer is.
LONGEST_CPU_SECONDS = 300
LONGEST_SECONDS = 1800


def make():
    """Brings the copy up to what Git knows; what is alike keeps its time, so that Cargo compiles little."""
    for name in subprocess.check_output(["git", "ls-files"], cwd=PROJECT, text=True).splitlines():
        write(name, (PROJECT / name).read_bytes())
        (ROOT / name).chmod((PROJECT / name).stat().st_mode)


def write(name, content):
    file = ROOT / name
    if not file.exists() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def cargo(*arguments):
    """Cargo's messages, and whether it succeeded."""
    command = ["cargo", *arguments, "--workspace", "--locked", "--message-format=json"]
    environment = {**os.environ, "CARGO_INCREMENTAL": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode == 0


def tests():
    """Builds all tests: of each its program and the folder it runs in. None if one does not compile."""
    messages, is_built = cargo("test", "--no-run")
    programs = [one for one in messages if one.get("executable") and one["profile"]["test"]]
    of = lambda one: (one["executable"], pathlib.Path(one["manifest_path"]).parent)
    # A library's own tests go by its name, unless a program of tests has it.
    programs.sort(key=lambda one: one["target"]["kind"] == ["test"])
    return {one["target"]["name"]: of(one) for one in programs} if is_built else None


def first_failure(program, test, mutation=0, only=None):
    """The first test of a program, or of one test, that fails, or what else shows that something is wrong; None if all pass."""
    path, folder = program
    environment = {**os.environ, "SABOTAGE": str(mutation), "RUST_TEST_THREADS": "12", "CARGO_INCREMENTAL": "0"}
    SWITCH.write_text(str(mutation)) if test in WITH_PROCESSES else None
    with tempfile.TemporaryFile("w+") as log:
        command = ["bash", "-c", f'ulimit -t {LONGEST_CPU_SECONDS}; exec "$@"', "bash", path, *(["--exact", only] if only else SKIPPED.get(test, []))]
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        timer = threading.Timer(LONGEST_SECONDS, running.kill)
        began = time.monotonic()
        timer.start()
        try:
            for line in running.stdout:
                if line.startswith("test ") and line.endswith("... FAILED\n"):
                    return line.removeprefix("test ").split(" ...")[0]
        finally:
            timer.cancel()
            running.kill()
            running.wait()
    if running.returncode == 0:
        return None
    return f"(it ends with {running.returncode} after {time.monotonic() - began:.0f} s)"
