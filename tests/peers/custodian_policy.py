"""A policy of Cloud Custodian, run once."""

import json

from local_ec2 import TOOLS


def command(folder, resource, filters, actions=()):
    """Writes a policy; gives what runs it."""
    policy = {"name": resource, "resource": resource, "filters": list(filters), "actions": list(actions)}
    # JSON is YAML.
    (folder / "policy.yaml").write_text(json.dumps({"policies": [policy]}))
    options = ["--output-dir", folder / "output", "--cache-period", "0", "--region", "us-east-1"]
    return [TOOLS / "custodian", "run", *options, folder / "policy.yaml"]


def matched(folder, resource):
    """What the policy's filters have let through."""
    return json.loads((folder / "output" / resource / "resources.json").read_text())
