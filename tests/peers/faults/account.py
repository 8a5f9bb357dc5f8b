"""What is in EC2, looked at past the proxy."""

import time

import boto3

from local_ec2 import BASE_IMAGE

UP = ["pending", "running", "stopping", "stopped", "shutting-down"]


class Account:
    def __init__(self, addresses):
        self.ec2 = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=addresses["AWS_REGION"]
        ).client("ec2", endpoint_url=addresses["AWS_ENDPOINT_URL_EC2"])

    def launch(self, data_gib=0):
        """A running instance with a root volume of 8 GiB, and perhaps another one; its id."""
        more = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": data_gib}}] if data_gib else []
        launched = self.ec2.run_instances(ImageId=BASE_IMAGE, MinCount=1, MaxCount=1, BlockDeviceMappings=more)
        instance = launched["Instances"][0]["InstanceId"]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig={"Delay": 2})
        return instance

    def create(self, name, instance):
        """An available image; its id."""
        image = self.ec2.create_image(InstanceId=instance, Name=name)["ImageId"]
        self.ec2.get_waiter("image_exists").wait(ImageIds=[image], WaiterConfig={"Delay": 1})
        self.ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 2})
        return image

    def parts(self, image):
        """The ids of an image and of its snapshots, by kind."""
        [described] = self.ec2.describe_images(ImageIds=[image])["Images"]
        snapshots = {mapping["Ebs"]["SnapshotId"] for mapping in described["BlockDeviceMappings"]}
        return {"image": {image}, "snapshot": snapshots}

    def now(self):
        """The ids of all that costs or matters, by kind."""
        images = self.ec2.describe_images(Owners=["self"])["Images"]
        snapshots = self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        standing = [{"Name": "instance-state-name", "Values": UP}]
        reservations = self.ec2.describe_instances(Filters=standing)["Reservations"]
        groups = self.ec2.describe_security_groups()["SecurityGroups"]
        return {
            "image": {image["ImageId"] for image in images},
            "snapshot": {snapshot["SnapshotId"] for snapshot in snapshots},
            "instance": {one["InstanceId"] for reservation in reservations for one in reservation["Instances"]},
            "security group": {group["GroupId"] for group in groups},
        }

    def settled(self, seconds=25):
        """The same, once it has not changed for so long."""
        found, since = self.now(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(1)
            if (latest := self.now()) != found:
                found, since = latest, time.monotonic()
        return found
