"""Measures how soon a function asks the Lambda runtime API for its first event, and how much memory
it has by then: the release build of check-status beside the same handler in Python with boto3.

  cargo lambda build --release --bin check-status
  target/local-aws/venv/bin/python tests/performance/benches/startup.py target/lambda/check-status/bootstrap

Both get the same runtime API, which is this process, and the same environment. They start in turn,
so that a busy moment of the machine hits both. The first start of each is left out: it reads the
files from the disk. The virtual environment is the one that `cargo local` makes.
"""

import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time
import zipfile

ROUNDS = 20
HERE = pathlib.Path(__file__).parent
BINARY = pathlib.Path(sys.argv[1])
FUNCTIONS = {"Rust": [BINARY], "Python": [sys.executable, HERE / "startup_peer.py"]}


def start(command):
    """Seconds until the first request, and the megabytes that were resident at the most."""
    with socket.create_server(("127.0.0.1", 0)) as api:
        environment = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % api.getsockname()[1],
            "AWS_LAMBDA_FUNCTION_NAME": "check-status",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "log",
            "AWS_LAMBDA_LOG_STREAM_NAME": "log",
            "DEFAULT_TAGS": "{}",
            "LIFECYCLE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:lifecycle",
            "OPERATION_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:operation",
            "ALLOW_UNMANAGED_IMAGES": "false",
            "CREATE_TIMEOUT": "40m",
            "UPDATE_TIMEOUT": "40m",
            "DELETE_TIMEOUT": "90m",
            "PATH": os.environ["PATH"],
        }
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            api.settimeout(30)
            connection, _ = api.accept()
            with connection:
                request = connection.recv(1000)
                took = time.perf_counter() - begun
                assert request.startswith(b"GET /2018-06-01/runtime/invocation/next"), request
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.kill()
            process.wait()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return took, int(peak.split()[1]) / 1024


def spread(values):
    """The median, and the quarters around it."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def main():
    measured = {name: [] for name in FUNCTIONS}
    for _ in range(ROUNDS + 1):
        for name, command in FUNCTIONS.items():
            measured[name].append(start(command))
    print("| | first poll, ms | peak memory, MB |")
    print("|---|---|---|")
    for name, starts in measured.items():
        times, peaks = zip(*starts[1:])
        print(f"| {name} | {spread([1000 * one for one in times])} | {spread(peaks)} |")
    pairs = list(zip(measured["Python"][1:], measured["Rust"][1:]))
    print(f"| ratio | {spread([python[0] / rust[0] for python, rust in pairs])} "
          f"| {spread([python[1] / rust[1] for python, rust in pairs])} |")
    package = BINARY.with_suffix(".zip")
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.write(BINARY, "bootstrap")
    print(f"\n{BINARY.stat().st_size / 1e6:.1f} MB, {package.stat().st_size / 1e6:.2f} MB zipped")


main()
