"""How each peer that is a command creates an image, and how it deletes one."""

import pathlib
import sys

import ansible_command
import custodian_policy
import packer_template
from local_ec2 import TOOLS

#: The scripts, beside this file.
SCRIPTS = pathlib.Path(__file__).parent / "scripts"


class AwsCli:
    """A script of the AWS CLI with its waiters, which last ten minutes."""

    name = "AWS CLI"
    limit = 600

    def create(self, work):
        return ["bash", SCRIPTS / "create.sh", work.instance, work.name], {"PATH": path(work)}

    def delete(self, work):
        return ["bash", SCRIPTS / "delete.sh", work.image], {"PATH": path(work)}


class Boto3:
    """A script of boto3 with its waiters."""

    name = "boto3"
    limit = 60

    def create(self, work):
        return [sys.executable, SCRIPTS / "create.py", work.instance, work.name, str(self.limit)], {}

    def delete(self, work):
        return [sys.executable, SCRIPTS / "delete.py", work.image], {}


class Ansible:
    """amazon.aws.ec2_ami, which waits for as long as it is asked to."""

    name = "Ansible"
    limit = 60

    def create(self, work):
        limit = self.limit if work.slow else 300
        parameters = {"instance_id": work.instance, "name": work.name, "wait": True, "wait_timeout": limit}
        return ansible_command.command(parameters), ansible_command.variables(work.folder)

    def delete(self, work):
        parameters = {"image_id": work.image, "state": "absent", "delete_snapshot": True, "wait": True, "wait_timeout": 120}
        return ansible_command.command(parameters), ansible_command.variables(work.folder)


class Custodian:
    """A policy that deregisters an image with its snapshots; it makes none."""

    name = "Cloud Custodian"
    limit = None

    def delete(self, work):
        action = {"type": "deregister", "delete-snapshots": True}
        return custodian_policy.command(work.folder, "ami", [{"ImageId": work.image}], [action]), {}


class Packer:
    """amazon-ebs, which makes an instance of its own; it deletes no images."""

    name = "Packer"
    limit = 60

    def create(self, work):
        size = {"launch_block_device_mappings": [{"device_name": "/dev/xvda", "volume_size": 200}]} if work.slow else {}
        command = packer_template.write(work.folder, work.addresses, work.name, **size)
        limits = {"AWS_POLL_DELAY_SECONDS": "5", "AWS_MAX_ATTEMPTS": str((self.limit if work.slow else 300) // 5)}
        return command, {**packer_template.variables(work.folder), **limits}


def path(work):
    """Where the scripts find the AWS CLI of here."""
    return f"{TOOLS}:{work.environment['PATH']}"
