"""A template of Packer: an image of a new instance that nothing connects to."""

import json

from local_ec2 import BASE_IMAGE


def write(folder, addresses, name, **more):
    """Writes the template; gives what builds it."""
    builder = {
        "type": "amazon-ebs",
        "region": addresses["AWS_REGION"],
        "access_key": addresses["AWS_ACCESS_KEY_ID"],
        "secret_key": addresses["AWS_SECRET_ACCESS_KEY"],
        # Packer 1.6 knows no variable of the environment for it.
        "custom_endpoint_ec2": addresses["AWS_ENDPOINT_URL_EC2"],
        "skip_credential_validation": True,
        "skip_metadata_api_check": True,
        "source_ami": BASE_IMAGE,
        "instance_type": "t3.micro",
        "communicator": "none",
        "ami_name": name,
        **more,
    }
    (folder / "template.json").write_text(json.dumps({"builders": [builder]}))
    return ["packer", "build", "-color=false", folder / "template.json"]


def variables(folder):
    """What it needs in its environment."""
    return {"CHECKPOINT_DISABLE": "1", "PACKER_CONFIG_DIR": str(folder), "AWS_POLL_DELAY_SECONDS": "1"}
