"""A local EC2 of one's own, and the environment that points a client to it."""

import os
import pathlib
import signal
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target/peers/venv/bin"
COLLECTIONS = ROOT / "target/peers/collections"
LOCAL = ROOT / "target/debug/local"

ACCOUNT = "000000000000"
SEED_INSTANCE = "i-0123456789abcdef0"
BASE_IMAGE = "ami-0ba5e1a9e00000001"


def environment(addresses):
    """This process's environment with nothing of AWS in it but `addresses`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        # Python's warnings are not what is looked at here.
        "PYTHONWARNINGS": "ignore",
        **addresses,
    }


class Local:
    """`cargo local` with a command that prints where it listens and stays, until the block ends."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __enter__(self):
        command = [str(LOCAL), *map(str, self.arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addresses = {}
        # The Region is the last line.
        while "AWS_REGION" not in self.addresses:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"{' '.join(command)} ended with {self.process.wait()}")
            name, _, value = line.strip().removeprefix("export ").partition("=")
            self.addresses[name] = value
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.process.stdout.close()

    @property
    def environment(self):
        return environment(self.addresses)


def run(command, environment, **options):
    """Runs a command to its end."""
    command = [str(part) for part in command]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, **options)
