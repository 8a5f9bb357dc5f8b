"""The AWS CLI on the local EC2."""

from local_ec2 import SEED_INSTANCE, TOOLS

from .client import ClientTest


class AwsCli(ClientTest):
    # Its waiters look every 15 seconds, and nothing makes them look more often.
    local_arguments = ("ec2", "--speed", "300")

    def create(self, name, *more):
        return self.aws("create-image", "--instance-id", SEED_INSTANCE, "--name", name, *more)["ImageId"]

    def test_waiters_follow_an_image_and_its_snapshots_to_their_end(self):
        image = self.create("waited-for")
        self.aws("wait", "image-exists", "--image-ids", image)
        self.aws("wait", "image-available", "--image-ids", image)
        query = "Images[0].BlockDeviceMappings[].Ebs.SnapshotId"
        snapshots = self.aws("describe-images", "--image-ids", image, "--query", query)
        self.assertEqual(len(snapshots), 2)
        self.aws("wait", "snapshot-completed", "--snapshot-ids", *snapshots)

    def test_pages_of_any_size_give_everything_once(self):
        made = {self.create(f"page-{number}", "--no-reboot") for number in range(4)}
        named = ["--owners", "self", "--filters", "Name=name,Values=page-*"]
        query = ["--query", "Images[].ImageId"]
        for size in ("1", "3", "1000"):
            listed = self.aws("describe-images", *named, *query, "--page-size", size)
            self.assertEqual(sorted(listed), sorted(made))
        first = self.aws("describe-images", "--owners", "self", "--max-items", "1")
        self.assertEqual(len(first["Images"]), 1)
        self.assertIn("NextToken", first)

    def test_filters_take_wildcards_and_tags_and_several_values(self):
        specification = "ResourceType=image,Tags=[{Key=Team,Value=web},{Key=Stage,Value=test}]"
        web = self.create("filtered web", "--tag-specifications", specification)
        plain = self.create("filtered-plain")
        query = ["--query", "sort(Images[].ImageId)"]

        def found(*filters):
            return self.aws("describe-images", "--owners", "self", *query, "--filters", *filters)

        self.assertEqual(found("Name=name,Values=filtered?web"), [web])
        self.assertEqual(found("Name=name,Values=filtered*"), sorted([web, plain]))
        self.assertEqual(found("Name=name,Values=filtered-plain,filtered web"), sorted([web, plain]))
        self.assertEqual(found("Name=tag:Team,Values=w*", "Name=tag-key,Values=Stage"), [web])
        self.assertEqual(found("Name=name,Values=filtered*", "Name=source-instance-id,Values=i-0*"), sorted([web, plain]))
        self.assertIn("InvalidParameterValue", self.refuse([TOOLS / "aws", "ec2", "describe-images", "--filters", "Name=colour,Values=red"]))

    def test_the_snapshots_of_an_image_go_with_it_if_asked(self):
        image = self.create("to-be-deleted")
        self.aws("wait", "image-available", "--image-ids", image)
        gone = self.aws("deregister-image", "--image-id", image, "--delete-associated-snapshots")
        codes = [result["ReturnCode"] for result in gone["DeleteSnapshotResults"]]
        self.assertEqual(codes, ["success", "success"])

    def test_errors_have_the_codes_of_ec2(self):
        aws = [TOOLS / "aws", "ec2"]
        self.assertIn("(InvalidAMIID.NotFound)", self.refuse([*aws, "describe-images", "--image-ids", "ami-00000000000000001"]))
        self.assertIn("(InvalidAMIID.Malformed)", self.refuse([*aws, "describe-images", "--image-ids", "ami-web"]))
        dry = [*aws, "create-image", "--instance-id", SEED_INSTANCE, "--name", "dry", "--dry-run"]
        self.assertIn("(DryRunOperation)", self.refuse(dry))

    def test_regions_and_zones_are_told(self):
        self.assertEqual(self.aws("describe-regions", "--query", "Regions[].RegionName"), ["us-east-1"])
        zones = self.aws("describe-availability-zones", "--query", "AvailabilityZones[].ZoneName")
        self.assertEqual(zones, ["us-east-1a"])

    def test_an_image_is_shared_and_made_private_again(self):
        image = self.create("shared")
        self.aws("wait", "image-exists", "--image-ids", image)
        self.aws("modify-image-attribute", "--image-id", image, "--launch-permission", "Add=[{Group=all},{UserId=111122223333}]")
        attribute = ["describe-image-attribute", "--image-id", image, "--attribute", "launchPermission"]
        permissions = self.aws(*attribute)["LaunchPermissions"]
        self.assertCountEqual(permissions, [{"Group": "all"}, {"UserId": "111122223333"}])
        public = ["describe-images", "--image-ids", image, "--query", "Images[0].Public"]
        self.assertTrue(self.aws(*public))
        self.aws("modify-image-attribute", "--image-id", image, "--attribute", "launchPermission", "--operation-type", "remove", "--user-groups", "all")
        self.assertEqual(self.aws(*attribute)["LaunchPermissions"], [{"UserId": "111122223333"}])
        self.aws("reset-image-attribute", "--image-id", image, "--attribute", "launchPermission")
        self.assertEqual(self.aws(*attribute)["LaunchPermissions"], [])
        self.assertFalse(self.aws(*public))
