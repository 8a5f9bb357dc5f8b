"""Ansible's amazon.aws.ec2_ami on the local EC2."""

import ansible_command
from local_ec2 import SEED_INSTANCE, run

from .client import ClientTest


class Ansible(ClientTest):
    def call(self, **parameters):
        """What amazon.aws.ec2_ami answers."""
        environment = {**self.local.environment, **ansible_command.variables(self.folder)}
        called = run(ansible_command.command(parameters), environment, cwd=self.folder)
        self.assertEqual(called.returncode, 0, called.stdout + called.stderr)
        return ansible_command.answer(called.stdout)

    def test_an_image_is_made_changed_and_deleted_with_its_snapshots(self):
        made = self.call(
            instance_id=SEED_INSTANCE,
            name="ansible",
            description="made by Ansible",
            tags={"Team": "web"},
            launch_permissions={"user_ids": ["111122223333"]},
            wait=True,
            wait_timeout=60,
        )
        self.assertEqual((made["state"], made["changed"]), ("available", True))
        self.assertEqual(made["launch_permissions"], [{"user_id": "111122223333"}])
        self.assertEqual(made["tags"], {"Team": "web"})

        change = {
            "image_id": made["image_id"],
            "description": "changed",
            "tags": {"Team": "db"},
            "launch_permissions": {"group_names": ["all"], "user_ids": []},
        }
        self.assertTrue(self.call(**change)["changed"])
        again = self.call(**change)
        self.assertFalse(again["changed"], "the second time finds everything done")
        self.assertEqual((again["description"], again["tags"]), ("changed", {"Team": "db"}))
        self.assertEqual((again["is_public"], again["launch_permissions"]), (True, [{"group": "all"}]))

        removal = {"image_id": made["image_id"], "state": "absent"}
        gone = self.call(**removal, delete_snapshot=True, wait=True, wait_timeout=60)
        self.assertEqual(len(gone["snapshots_deleted"]), 2)
        tagged = [{"Name": "tag:Team", "Values": ["web"]}]
        self.assertEqual(self.ec2().describe_snapshots(Filters=tagged)["Snapshots"], [])
        self.assertFalse(self.call(**removal)["changed"], "the second time there is nothing to delete")
