"""Packer's amazon-ebs on the local EC2."""

import pathlib

import packer_template
from local_ec2 import run

from .client import ClientTest


class Packer(ClientTest):
    def test_an_image_of_a_new_instance_is_made_and_nothing_else_stays(self):
        folder = pathlib.Path(self.folder)
        tags = {"Team": "web"}
        command = packer_template.write(
            folder, self.local.addresses, "packer", ami_users=["111122223333"], tags=tags, snapshot_tags=tags, run_tags=tags
        )
        built = run(command, {**self.local.environment, **packer_template.variables(folder)}, cwd=folder)
        self.assertEqual(built.returncode, 0, built.stdout + built.stderr)
        ec2 = self.ec2()
        [image] = ec2.describe_images(Owners=["self"])["Images"]
        self.assertEqual((image["Name"], image["State"]), ("packer", "available"))
        self.assertEqual(image["Tags"], [{"Key": "Team", "Value": "web"}])
        attribute = ec2.describe_image_attribute(ImageId=image["ImageId"], Attribute="launchPermission")
        self.assertEqual(attribute["LaunchPermissions"], [{"UserId": "111122223333"}])
        [snapshot] = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        self.assertEqual(snapshot["Tags"], [{"Key": "Team", "Value": "web"}])
        standing = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
        tagged = {"Name": "tag:Team", "Values": ["web"]}
        self.assertEqual(ec2.describe_instances(Filters=[standing, tagged])["Reservations"], [])
        self.assertEqual(ec2.describe_security_groups()["SecurityGroups"], [])
