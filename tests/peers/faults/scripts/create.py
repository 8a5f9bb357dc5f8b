"""Makes an image of an instance: create.py INSTANCE NAME SECONDS"""

import sys

import boto3

instance, name, seconds = sys.argv[1:]
ec2 = boto3.client("ec2")
image = ec2.create_image(InstanceId=instance, Name=name)["ImageId"]
ec2.get_waiter("image_exists").wait(ImageIds=[image])
ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 5, "MaxAttempts": int(seconds) // 5})
