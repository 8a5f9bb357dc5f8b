"""Deregisters an image and deletes its snapshots: delete.py IMAGE"""

import sys

import boto3

ec2 = boto3.client("ec2")
[image] = ec2.describe_images(ImageIds=sys.argv[1:])["Images"]
ec2.deregister_image(ImageId=image["ImageId"])
for mapping in image["BlockDeviceMappings"]:
    ec2.delete_snapshot(SnapshotId=mapping["Ebs"]["SnapshotId"])
