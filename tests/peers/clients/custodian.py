"""Cloud Custodian's policies for images and snapshots on the local EC2."""

import pathlib

import custodian_policy
from local_ec2 import SEED_INSTANCE

from .client import ClientTest


class Custodian(ClientTest):
    # It asks STS who it is, and Auto Scaling what uses an image.
    local_arguments = ("ec2", "--services")

    def run_policy(self, resource, filters, actions=()):
        """The ids of what a policy's filters let through."""
        folder = pathlib.Path(self.folder)
        self.succeed(custodian_policy.command(folder, resource, filters, actions))
        identifier = {"ami": "ImageId", "ebs-snapshot": "SnapshotId"}[resource]
        return {matched[identifier] for matched in custodian_policy.matched(folder, resource)}

    def create(self, name):
        ec2 = self.ec2()
        image = ec2.create_image(InstanceId=SEED_INSTANCE, Name=name)["ImageId"]
        self.wait("image_available", image)
        mappings = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
        return image, {mapping["Ebs"]["SnapshotId"] for mapping in mappings}

    def test_unused_images_are_found_tagged_and_deregistered_with_their_snapshots(self):
        ec2 = self.ec2()
        used, used_snapshots = self.create("used")
        ec2.run_instances(ImageId=used, MinCount=1, MaxCount=1)
        image, snapshots = self.create("unused")

        unused = {"type": "unused", "value": True}
        ours = {"type": "value", "key": "Name", "op": "in", "value": ["used", "unused"]}
        tag = {"type": "tag", "tags": {"Unused": "true"}}
        self.assertEqual(self.run_policy("ami", [unused, ours], [tag]), {image})
        tagged = [{"tag:Unused": "true"}]
        self.assertEqual(self.run_policy("ami", [*tagged, {"type": "image-age", "days": 1, "op": "ge"}]), set())
        self.assertEqual(self.run_policy("ebs-snapshot", [unused]), set(), "each is an image's")

        deregister = {"type": "deregister", "delete-snapshots": True}
        young = {"type": "image-age", "days": 1, "op": "lt"}
        self.assertEqual(self.run_policy("ami", [*tagged, young], [deregister]), {image})
        left = {snapshot["SnapshotId"] for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        self.assertLessEqual(used_snapshots, left)

        # What was in use a moment ago, a second policy finds.
        self.run_policy("ebs-snapshot", [unused], ["delete"])
        left = {snapshot["SnapshotId"] for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        self.assertEqual((left & snapshots, used_snapshots - left), (set(), set()))

    def test_an_image_shared_with_strangers_is_found_and_made_private(self):
        ec2 = self.ec2()
        image, snapshots = self.create("shared")
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "111122223333"}]})
        snapshot = min(snapshots)
        ec2.modify_snapshot_attribute(SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": "111122223333"}]})
        shared = {"type": "cross-account"}
        self.assertEqual(self.run_policy("ebs-snapshot", [shared]), {snapshot})
        self.assertEqual(self.run_policy("ami", [shared], [{"type": "set-permissions", "remove": "matched"}]), {image})
        self.assertEqual(self.run_policy("ami", [shared]), set())
