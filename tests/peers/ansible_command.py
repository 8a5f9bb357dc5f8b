"""Ansible's amazon.aws.ec2_ami, called once without a playbook."""

import json
import sys

from local_ec2 import COLLECTIONS, TOOLS


def command(parameters):
    """What calls the module with these parameters."""
    where = ["localhost", "--inventory", "localhost,", "--connection", "local"]
    return [TOOLS / "ansible", *where, "--module-name", "amazon.aws.ec2_ami", "--args", json.dumps(parameters)]


def variables(folder):
    """What it needs in its environment."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(folder),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }


def answer(printed):
    """The module's answer, in what Ansible printed."""
    return json.loads(printed[printed.index("=> ") + 3 :])
