"""What the tests of all clients begin with."""

import json
import tempfile
import unittest

import boto3

from local_ec2 import TOOLS, Local, run


class ClientTest(unittest.TestCase):
    """The tests of a class share a local EC2."""

    local_arguments = ("ec2",)

    @classmethod
    def setUpClass(cls):
        cls.local = cls.enterClassContext(Local(*cls.local_arguments))
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())

    def ec2(self, kind="client"):
        """boto3's client, or its resource."""
        addresses = self.local.addresses
        session = boto3.Session(
            aws_access_key_id=addresses["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=addresses["AWS_SECRET_ACCESS_KEY"],
            region_name=addresses["AWS_REGION"],
        )
        return getattr(session, kind)("ec2", endpoint_url=addresses["AWS_ENDPOINT_URL_EC2"])

    def wait(self, waiter, image):
        """Waits for an image to exist, and then for the waiter's end."""
        ec2 = self.ec2()
        ec2.get_waiter("image_exists").wait(ImageIds=[image], WaiterConfig={"Delay": 1})
        ec2.get_waiter(waiter).wait(ImageIds=[image], WaiterConfig={"Delay": 1})

    def succeed(self, command, **options):
        """Runs a command that must succeed; gives what it printed."""
        done = run(command, self.local.environment, cwd=self.folder, **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def refuse(self, command):
        """Runs a command that must fail; gives what it said."""
        done = run(command, self.local.environment, cwd=self.folder)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def aws(self, *arguments):
        """The AWS CLI's answer."""
        printed = self.succeed([TOOLS / "aws", "ec2", *arguments])
        return json.loads(printed) if printed.strip() else None
