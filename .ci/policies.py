"""Checks every statement of the template's roles against the Service Authorization Reference, of
which policy_sentry carries a copy: each action exists, works on one of the resources it is given,
and knows the condition keys it is given for them. A condition key that an action does not know never
matches, and nothing else shows it.

usage: policies.py TEMPLATE
"""

import re
import sys

from policy_sentry.querying.actions import get_action_data
from samcli.yamlhelper import yaml_parse


def statements(policies):
    for policy in policies:
        if "Fn::If" in policy:
            yield from statements(choice for choice in policy["Fn::If"][1:] if "Statement" in choice)
        else:
            yield from policy.get("Statement", [])


def values(value):
    return value if isinstance(value, list) else [value]


def arn(resource, targets):
    """An ARN as text; a reference becomes the ARN of what it refers to."""
    if isinstance(resource, str):
        return resource
    if "Fn::Sub" in resource:
        return resource["Fn::Sub"]
    name = resource.get("Ref") or resource["Fn::GetAtt"]
    name = name if isinstance(name, str) else name[0]
    kinds = {"AWS::Serverless::Function": "lambda:r:a:function:f", "AWS::Serverless::StateMachine": "states:r:a:stateMachine:m"}
    return "arn:p:" + kinds[targets[name.split(".")[0]]["Type"]]


def fits(given, wanted):
    """Whether an ARN can be one of a resource type's format: the same service, the same account or
    none, and the same type of resource."""
    plain = [re.sub(r"\$\{[^}]*\}", "x", text) for text in (given, wanted)]
    (given_service, given_account, given_type), (service, account, kind) = (
        (parts[2], bool(parts[4]), re.split("[:/]", parts[5])[0]) for parts in (text.split(":", 5) for text in plain))
    return (given_service, given_account, given_type) == (service, account, kind)


def problems(statement, targets):
    arns = [arn(resource, targets) for resource in values(statement["Resource"])]
    keys = [re.sub(r"^(aws:ResourceTag)/.*", r"\1/${TagKey}", key)
            for operator in statement.get("Condition", {}).values() for key in operator]
    for action in values(statement["Action"]):
        service, name = action.split(":")
        rows = (get_action_data(service, name) or {}).get(service)
        if not rows:
            yield f"{action} does not exist"
            continue
        kinds = [row for row in rows if row["resource_arn_format"] != "*"]
        matched = rows if arns == ["*"] else [row for row in kinds if any(fits(one, row["resource_arn_format"]) for one in arns)]
        if not matched:
            yield f"{action} does not work on {arns}"
        if arns == ["*"] and kinds and service != "logs":
            if any(row["access_level"] not in ("List", "Read") for row in rows):
                yield f"{action} could be limited to {[row['resource_arn_format'] for row in kinds]}"
        known = {key for row in rows if row in matched or row["resource_arn_format"] == "*" for key in row["condition_keys"]}
        for key in keys:
            if key not in known:
                yield f"{action} does not know {key} on {arns}"


def main():
    with open(sys.argv[1]) as file:
        resources = yaml_parse(file.read())["Resources"]
    found = [f"{name}: {statement.get('Sid')}: {problem}"
             for name, resource in resources.items()
             for statement in statements(resource.get("Properties", {}).get("Policies", []))
             for problem in problems(statement, resources)]
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
