"""boto3 on the local EC2: its clients and its resources."""

from botocore.exceptions import ClientError, WaiterError

from local_ec2 import ACCOUNT, SEED_INSTANCE

from .client import ClientTest


class Boto3(ClientTest):
    def code(self, call, **parameters):
        """The code of the error that a call gives."""
        with self.assertRaises(ClientError) as refused:
            call(**parameters)
        return refused.exception.response["Error"]["Code"]

    def test_a_resource_makes_changes_and_removes_an_image(self):
        ec2 = self.ec2("resource")
        instance = ec2.Instance(SEED_INSTANCE)
        image = instance.create_image(Name="resource", NoReboot=True)
        image.wait_until_exists()
        self.wait("image_available", image.id)
        image.reload()
        self.assertEqual((image.state, image.owner_id), ("available", ACCOUNT))
        image.create_tags(Tags=[{"Key": "Team", "Value": "web"}])
        image.modify_attribute(Description={"Value": "changed"})
        named = ec2.images.filter(Owners=["self"], Filters=[{"Name": "tag:Team", "Values": ["web"]}, {"Name": "name", "Values": ["res*"]}])
        self.assertEqual([found.id for found in named], [image.id])
        snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in image.block_device_mappings]
        image.deregister()
        ec2.meta.client.get_waiter("snapshot_completed").wait(SnapshotIds=snapshots)
        for snapshot in snapshots:
            ec2.Snapshot(snapshot).delete()
        self.assertEqual(self.code(ec2.Snapshot(snapshots[0]).load), "InvalidSnapshot.NotFound")

    def test_paginators_give_everything_once(self):
        ec2 = self.ec2()
        made = {ec2.create_image(InstanceId=SEED_INSTANCE, Name=f"paginated-{number}")["ImageId"] for number in range(3)}
        ec2.get_waiter("image_exists").wait(ImageIds=list(made), WaiterConfig={"Delay": 1})
        for operation, key, size in [("describe_images", "Images", 1), ("describe_snapshots", "Snapshots", 5)]:
            pages = ec2.get_paginator(operation).paginate(
                **({"Owners": ["self"]} if key == "Images" else {"OwnerIds": ["self"]}), PaginationConfig={"PageSize": size}
            )
            everything = [thing for page in pages for thing in page[key]]
            ids = [thing.get("ImageId") or thing["SnapshotId"] for thing in everything]
            self.assertEqual(len(ids), len(set(ids)))
            if key == "Images":
                self.assertLessEqual(made, set(ids))

    def test_a_waiter_gives_up_on_an_image_that_failed(self):
        ec2 = self.ec2()
        instance = ec2.run_instances(ImageId="ami-0ba5e1a9e00000001", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
        image = ec2.create_image(InstanceId=instance, Name="doomed")["ImageId"]
        ec2.terminate_instances(InstanceIds=[instance])
        with self.assertRaises(WaiterError) as gave_up:
            self.wait("image_available", image)
        self.assertIn("terminal failure state", str(gave_up.exception))

    def test_a_dry_run_does_nothing_and_says_so(self):
        ec2 = self.ec2()
        calls = [
            (ec2.create_image, {"InstanceId": SEED_INSTANCE, "Name": "dry"}),
            (ec2.describe_images, {"Owners": ["self"]}),
            (ec2.describe_snapshots, {}),
            (ec2.create_tags, {"Resources": [SEED_INSTANCE], "Tags": [{"Key": "dry", "Value": "run"}]}),
            (ec2.stop_instances, {"InstanceIds": [SEED_INSTANCE]}),
        ]
        for call, parameters in calls:
            self.assertEqual(self.code(call, **parameters, DryRun=True), "DryRunOperation")
        named = ec2.describe_images(Filters=[{"Name": "name", "Values": ["dry"]}])["Images"]
        self.assertEqual(named, [])

    def test_a_deregistered_image_gives_an_empty_list_and_cannot_be_deregistered_again(self):
        ec2 = self.ec2()
        image = ec2.create_image(InstanceId=SEED_INSTANCE, Name="gone")["ImageId"]
        self.wait("image_available", image)
        ec2.deregister_image(ImageId=image)
        while ec2.describe_images(ImageIds=[image])["Images"]:
            pass
        self.assertEqual(self.code(ec2.deregister_image, ImageId=image), "InvalidAMIID.Unavailable")

    def test_who_may_launch_an_image_is_checked(self):
        ec2 = self.ec2()
        image = ec2.create_image(InstanceId=SEED_INSTANCE, Name="permitted")["ImageId"]
        self.wait("image_exists", image)
        wrong = {"Add": [{"UserId": "nobody"}]}
        self.assertEqual(self.code(ec2.modify_image_attribute, ImageId=image, LaunchPermission=wrong), "InvalidAMIAttributeItemValue")
        both = {"LaunchPermission": {"Add": [{"Group": "all"}]}, "Description": {"Value": "two at once"}}
        self.assertEqual(self.code(ec2.modify_image_attribute, ImageId=image, **both), "InvalidParameterCombination")
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": ACCOUNT}]})
        given = ec2.describe_images(ExecutableUsers=["self"])["Images"]
        self.assertEqual([found["ImageId"] for found in given], [image])
