"""Prints what CloudFormation makes of the template's roles and resource policies, as JSON: SAM translates
the template, and the intrinsic functions are resolved for every combination of the parameters that
change a policy.

usage: roles.py TEMPLATE

Each deployment has its parameters; its roles with the principals that use them, the trust policy, the
policies, the managed policies and the permissions boundary; and the policies of its resources by ARN.
"""

import itertools
import json
import os
import re
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

# Those of the local AWS, so that what is recorded there fits.
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "000000000000",
    "AWS::StackName": "ami-from-instance",
}
CHOICES = {
    "AllowUnmanagedImages": ["false", "true"],
    "KmsKeyArn": ["", "arn:aws:kms:us-east-1:000000000000:key/of-the-user"],
    "PermissionsBoundaryArn": ["", "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/AWSDenyAll"],
    "NotificationEmail": ["", "somebody@example.com"],
    "NotificationTopicArn": ["", "arn:aws:sns:us-east-1:000000000000:of-the-user"],
    "OnlyTaggedInstances": ["false", "true"],
    "ScheduleExpression": ["", "rate(1 day)"],
    "SchedulesOnlyCreate": ["false", "true"],
    "VolumeKmsKeyArns": ["", "arn:aws:kms:us-east-1:000000000000:key/of-a-volume"],
}
# Conditions hang on them, but no policy does.
NO_MATTER = {"CreateDashboard", "Sweep"}
POLICIES = {"AWS::IAM::Role", "AWS::Lambda::Permission", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"}

UPLOADED = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::StateMachine": "DefinitionUri"}
# By the names that CloudFormation gives, without what it adds at random.
ARNS = {
    "AWS::IAM::Role": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AWS::StackName}-${Name}",
    "AWS::Lambda::Function": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-${Name}",
    "AWS::Events::Rule": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}-${Name}",
    "AWS::SNS::Topic": "arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-${Name}",
    "AWS::SQS::Queue": "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-${Name}",
    "AWS::StepFunctions::StateMachine": "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:${Name}",
}
NOTHING = object()


def translated(path):
    """The template as CloudFormation gets it."""
    with open(path) as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        # `sam package` uploads what they name.
        if resource["Type"] in UPLOADED:
            resource["Properties"][UPLOADED[resource["Type"]]] = "s3://packages/package"
    defaults = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}

    class NoPolicyNames:
        """The template names no policies, which SAM would ask IAM for."""

        def load(self):
            return {}

    os.environ["AWS_DEFAULT_REGION"] = PSEUDO["AWS::Region"]
    return transform(template, defaults, NoPolicyNames())


class Deployment:
    """The template with the values of its parameters."""

    def __init__(self, template, parameters):
        defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
        self.template = template
        self.parameters = parameters
        self.values = {**defaults, **parameters, **PSEUDO, "AWS::NoValue": NOTHING}
        self.resources = {
            name: resource for name, resource in template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }

    def holds(self, condition):
        return self.resolve(self.template["Conditions"][condition])

    def arn(self, name):
        resource = self.resources[name]
        return self.substitute([ARNS[resource["Type"]], {"Name": resource["Properties"].get("StateMachineName", name)}])

    def reference(self, name):
        """Of a resource always the ARN: what takes a function's name takes its ARN too."""
        return self.values[name] if name in self.values else self.arn(name)

    def resolve(self, value):
        """A value without intrinsic functions."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (key, argument), = value.items()
            if key in FUNCTIONS:
                return FUNCTIONS[key](self, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NOTHING}

    def get_attribute(self, argument):
        name, attribute = argument if isinstance(argument, list) else argument.split(".")
        if attribute != "Arn":
            raise ValueError(f"{name}.{attribute} in a policy is not known here")
        return self.arn(name)

    def substitute(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})

        def value(match):
            name = match.group(1)
            if name in own:
                return self.resolve(own[name])
            return self.get_attribute(name) if "." in name else self.reference(name)

        return re.sub(r"\$\{([^!}]+)\}", value, text)

    def roles(self):
        roles = {
            name: {
                "arn": self.arn(name),
                "usedBy": [name],
                "trust": role["AssumeRolePolicyDocument"],
                "policies": {policy["PolicyName"]: policy["PolicyDocument"] for policy in role.get("Policies", [])},
                "managed": role.get("ManagedPolicyArns", []),
                "boundary": role.get("PermissionsBoundary"),
            }
            for name, role in self.of_type("AWS::IAM::Role")
        }
        for name, resource in self.resources.items():
            properties = resource["Properties"]
            role = properties.get("Role") or properties.get("RoleArn") or properties.get("Target", {}).get("RoleArn")
            if role:
                roles[role["Fn::GetAtt"][0]]["usedBy"].append(name)
        return roles

    def resource_policies(self):
        """By the ARN of the resource."""
        policies = {}
        for _, permission in self.of_type("AWS::Lambda::Permission"):
            function = permission["FunctionName"]
            policies.setdefault(function, []).append({
                "Effect": "Allow",
                "Principal": {"Service": permission["Principal"]},
                "Action": permission["Action"],
                "Resource": function,
                # As AddPermission makes it.
                "Condition": {"ArnLike": {"aws:SourceArn": permission["SourceArn"]}},
            })
        for _, policy in self.of_type("AWS::SNS::TopicPolicy"):
            for topic in policy["Topics"]:
                policies.setdefault(topic, []).extend(policy["PolicyDocument"]["Statement"])
        return {arn: {"Version": "2012-10-17", "Statement": statements} for arn, statements in policies.items()}

    def of_type(self, kind):
        for name, resource in self.resources.items():
            if resource["Type"] == kind:
                yield name, self.resolve(resource["Properties"])


FUNCTIONS = {
    "Ref": Deployment.reference,
    "Condition": Deployment.holds,
    "Fn::GetAtt": Deployment.get_attribute,
    "Fn::Sub": Deployment.substitute,
    "Fn::If": lambda self, argument: self.resolve(argument[1] if self.holds(argument[0]) else argument[2]),
    "Fn::Join": lambda self, argument: argument[0].join(self.resolve(argument[1])),
    "Fn::Equals": lambda self, argument: self.resolve(argument[0]) == self.resolve(argument[1]),
    "Fn::Not": lambda self, argument: not self.resolve(argument[0]),
    "Fn::And": lambda self, argument: all(map(self.resolve, argument)),
    "Fn::Or": lambda self, argument: any(map(self.resolve, argument)),
}


def unforeseen(template):
    """The parameters that policies or conditions hang on, and that are not varied here."""
    policies = [resource for resource in template["Resources"].values() if resource["Type"] in POLICIES]
    named = set(re.findall(r'"Ref": "(\w+)"', json.dumps([policies, template["Conditions"]])))
    return (named & template["Parameters"].keys()) - CHOICES.keys() - NO_MATTER


def main():
    template = translated(sys.argv[1])
    if unforeseen(template):
        sys.exit(f"roles.py: choose values for {', '.join(sorted(unforeseen(template)))}")
    deployments = (
        Deployment(template, dict(zip(CHOICES, values))) for values in itertools.product(*CHOICES.values()))
    print(json.dumps([
        {"parameters": deployment.parameters, "roles": deployment.roles(), "resources": deployment.resource_policies()}
        for deployment in deployments
    ]))


if __name__ == "__main__":
    main()
