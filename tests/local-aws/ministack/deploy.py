"""Deploys template.yaml with CloudFormation, with the AWS CLI's own commands.

As `sam build` does, each function's CodeUri becomes a package with its built handler; nothing else
of the template is changed. The stack's outputs go to standard output, as a JSON object.

usage: deploy.py TEMPLATE HANDLERS STAGED STACK RELEASE [KEY=VALUE ...]
  TEMPLATE   the template; its DefinitionUri paths are relative to its folder
  HANDLERS   the folder with the built handlers, named after BuildProperties.Binary
  STAGED     the folder to write the packages to
  STACK      the stack's name
  RELEASE    empty, or a word that makes each function and machine differ from those of another word
  KEY=VALUE  parameters of the template
"""

import contextlib
import io
import json
import os
import sys
import zipfile

from awscli.clidriver import create_clidriver
from awscli.customizations.cloudformation.yamlhelper import yaml_dump, yaml_parse

BUCKET = "packages"


def stage(template_path, handlers, staged, release):
    """Writes the packages, and the template that names them."""
    root = os.path.dirname(os.path.abspath(template_path))
    with open(template_path) as file:
        template = yaml_parse(file.read())
    del template["Globals"]["Function"]["CodeUri"]
    if release:
        template["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"] = release
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            properties["CodeUri"] = os.path.join(os.path.abspath(staged), binary + ".zip")
            # Stored, not compressed: the handlers go no further than this machine.
            with zipfile.ZipFile(properties["CodeUri"], "w", zipfile.ZIP_STORED) as package:
                package.write(os.path.join(handlers, binary), "bootstrap")
        if resource["Type"] == "AWS::Serverless::StateMachine":
            properties["DefinitionUri"] = definition(os.path.join(root, properties["DefinitionUri"]), staged, release)
    for metadata in template.get("Metadata", {}).values():
        for key in {"LicenseUrl", "ReadmeUrl"} & metadata.keys():
            metadata[key] = os.path.join(root, metadata[key])
    path = os.path.join(staged, "staged.yaml")
    with open(path, "w") as file:
        file.write(yaml_dump(template))
    return path


def definition(path, staged, release):
    """The path of a machine's definition, or of one with another Comment."""
    if not release:
        return path
    with open(path) as file:
        machine = json.load(file)
    machine["Comment"] += f" Release {release}."
    path = os.path.join(os.path.abspath(staged), os.path.basename(path))
    with open(path, "w") as file:
        json.dump(machine, file)
    return path


def aws(*arguments):
    """Runs an AWS CLI command in this process and gives its output."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = create_clidriver().main(list(arguments))
    if status:
        sys.exit(f"aws {' '.join(arguments)}: exit {status}\n{output.getvalue()}")
    return output.getvalue()


def main():
    template, handlers, staged, stack, release, *parameters = sys.argv[1:]
    path = stage(template, handlers, staged, release)
    packaged = os.path.join(staged, "packaged.yaml")
    aws("s3", "mb", f"s3://{BUCKET}")
    aws("cloudformation", "package", "--template-file", path, "--s3-bucket", BUCKET, "--output-template-file", packaged)
    overrides = ["--parameter-overrides", *parameters] if parameters else []
    # CloudFormation takes at most 51,200 bytes of a template that is not in a bucket.
    aws("cloudformation", "deploy", "--template-file", packaged, "--s3-bucket", BUCKET, "--stack-name", stack,
        "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", *overrides)
    described = aws("cloudformation", "describe-stacks", "--stack-name", stack, "--output", "json")
    outputs = json.loads(described)["Stacks"][0]["Outputs"]
    print(json.dumps({output["OutputKey"]: output["OutputValue"] for output in outputs}))


if __name__ == "__main__":
    main()
