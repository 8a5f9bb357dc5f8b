"""A peer that is a command meets a fault, on a local EC2 of its own."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from local_ec2 import Local, environment

from .account import Account
from .outcome import Outcome, difference, still
from .proxy import Proxy

#: The data volume, in GiB, with which an image takes longer than the AWS CLI waits, and longer than the others.
SLOW_GIB = {600: 400, 60: 100}


@dataclasses.dataclass
class Work:
    """What a peer is to do, and where."""

    folder: pathlib.Path
    addresses: dict
    name: str
    slow: bool
    instance: str = ""
    image: str = ""

    @property
    def environment(self):
        return environment(self.addresses)


def meet(peer, fault):
    services = ["--services"] if peer.name == "Cloud Custodian" else []
    with Local("ec2", "--speed", "1", *services) as local, tempfile.TemporaryDirectory() as folder:
        account = Account(local.addresses)
        with Proxy(local.addresses["AWS_ENDPOINT_URL_EC2"], fault.rule()) as proxy:
            addresses = {**local.addresses, "AWS_ENDPOINT_URL_EC2": proxy.endpoint}
            work = Work(pathlib.Path(folder), addresses, "compared", fault.slow)
            if peer.name != "Packer":
                work.instance = account.launch(SLOW_GIB[peer.limit] if fault.slow else 0)
            parts = {}
            if fault.task == "delete":
                work.image = account.create(work.name, work.instance)
                parts = account.parts(work.image)
            before = account.now()
            command, variables = getattr(peer, fault.task)(work)
            start = time.monotonic()
            code, said = run(command, {**work.environment, **variables}, work.folder, fault, proxy.rule)
            seconds = time.monotonic() - start
        after = account.settled()
        ended = f"exit {code}" if code >= 0 else signal.Signals(-code).name
        return Outcome(fault.task, ended, said, code == 0, difference(before, after), still(parts, after), seconds)


def run(command, variables, folder, fault, rule):
    """Runs a peer, and ends it if the fault is that; gives its exit status and its last words."""
    with open(folder / "said", "w+") as said:
        command = [str(part) for part in command]
        process = subprocess.Popen(
            command, env=variables, cwd=folder, stdout=said, stderr=said, stdin=subprocess.DEVNULL, start_new_session=True
        )
        if fault.signal:
            # A peer may end before.
            while not rule.struck.wait(0.1) and process.poll() is None:
                pass
            time.sleep(fault.after)
            if process.poll() is None:
                end(process.pid, signal.Signals[fault.signal])
        code = process.wait()
        said.seek(0)
        return code, said.read()


def end(leader, how):
    """Ends a process as Ctrl-C does, with its group, or as the end of its machine does, with all that it started."""
    if how == signal.SIGINT:
        os.killpg(leader, how)
        return
    for process in [*descendants(leader), leader]:
        os.kill(process, how)


def descendants(process):
    """The processes that a process started, and those that they started."""
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from descendants(child)
            yield int(child)
