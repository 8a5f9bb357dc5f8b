"""Writes the table of all peers and all faults into the file that the argument names."""

import concurrent.futures
import datetime
import importlib.metadata
import pathlib
import re
import subprocess
import sys

from . import this_project
from .commands import Ansible, AwsCli, Boto3, Custodian, Packer
from .faults import FAULTS
from .meeting import meet
from .table import markdown

#: How many peers at a time; they mostly wait.
AT_ONCE = 6
PEERS = [AwsCli(), Boto3(), Ansible(), Custodian(), Packer()]


def say(name, fault, outcome):
    print(f"{outcome.seconds:4.0f} s  {name}, {fault.task}, {fault.title}: {outcome}", file=sys.stderr)


def meet_and_say(peer, fault):
    if not hasattr(peer, fault.task):
        return None
    outcome = meet(peer, fault)
    say(peer.name, fault, outcome)
    return outcome


def versions():
    packer = re.search(r"v([\d.]+)", subprocess.run(["packer", "version"], capture_output=True, text=True).stdout).group(1)
    packages = {"awscli": "AWS CLI", "boto3": "boto3", "ansible-core": "ansible-core", "c7n": "Cloud Custodian"}
    named = [f"{name} {importlib.metadata.version(package)}" for package, name in packages.items()]
    return ", ".join([*named, f"Packer {packer}"])


def main():
    file = pathlib.Path(sys.argv[1])
    # The longest first.
    cells = sorted(((peer, fault) for peer in PEERS for fault in FAULTS), key=lambda cell: not cell[1].slow)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ours = [pool.submit(this_project.meet_all, FAULTS, task, say) for task in ("create", "delete")]
        done = {(peer.name, fault): pool.submit(meet_and_say, peer, fault) for peer, fault in cells}
        own = {fault: outcome for task in ours for fault, outcome in task.result().items()}
        outcomes = {this_project.NAME: [own[fault] for fault in FAULTS]}
        for peer in PEERS:
            outcomes[peer.name] = [done[peer.name, fault].result() for fault in FAULTS]
    file.write_text(markdown(FAULTS, outcomes, datetime.date.today(), versions()))


if __name__ == "__main__":
    main()
