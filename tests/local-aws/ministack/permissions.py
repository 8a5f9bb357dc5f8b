"""IAM's judgement of what the functions, the machines, the rules and the schedules of a deployment call, as long as
TMPDIR/iam is there. MiniStack itself would judge only direct calls of its API.

What EC2 is called for the local EC2 has judged, by SimulatePrincipalPolicy.
"""

import json
import os

from ministack.core import iam_evaluator
from ministack.services import lambda_svc, sns
from ministack.services import stepfunctions as sfn

# What a Task calls, and the argument that names what it is about.
TASKS = {
    "lambda:invoke": ("lambda:InvokeFunction", "FunctionName"),
    "states:startExecution.sync:2": ("states:StartExecution", "StateMachineArn"),
    "aws-sdk:sfn:describeExecution": ("states:DescribeExecution", "ExecutionArn"),
}


def are_judged():
    return os.path.exists(os.path.join(os.environ["TMPDIR"], "iam"))


def role_allows(role, action, resource, context=None):
    account = sfn.get_account_id()
    policies = iam_evaluator._gather_role_policies(role.split("/")[-1], account)
    asked = iam_evaluator.EvalContext(
        principal_arn=role, principal_type="AssumedRole", principal_account=account, action=action,
        resource_arn=resource, region=sfn.get_region(), service_context=context or {})
    return iam_evaluator.evaluate(asked, policies).decision == "Allow"


def machine_allows(machine, resource, arguments):
    """Whether the role of a machine lets a Task of it be done."""
    role = sfn._state_machines[machine]["roleArn"]
    task = resource.split(":::", 1)[-1]
    if task.startswith("events:putEvents"):
        sources = [entry.get("Source") for entry in arguments.get("Entries", [])]
        bus = f"arn:aws:events:{sfn.get_region()}:{sfn.get_account_id()}:event-bus/default"
        return role_allows(role, "events:PutEvents", bus, {"events:source": sources})
    # Others than those of the application have none that this knows.
    action, named = TASKS.get(task, (None, None))
    return action is None or role_allows(role, action, arguments.get(named, "*"))


def function_allows(caller, action, request):
    """Whether the role of a function, which tells its name with each call, lets it call Step Functions."""
    words = caller.removeprefix("ami-from-instance-").split("-")
    middle = f"-{''.join(word.capitalize() for word in words)}Function-"
    names = [name for name in lambda_svc._functions if middle in name]
    resource = request.get("executionArn") or request.get("stateMachineArn") or "*"
    return any(role_allows(lambda_svc._functions[name]["config"]["Role"], f"states:{action}", resource) for name in names)


def rule_allows(target, rule):
    """Whether the policy of a function or a topic lets a rule in, or the role of a schedule's target lets it out."""
    arn, role = target["Arn"], target.get("RoleArn")
    if role:
        action = "states:StartExecution" if ":states:" in arn or arn.endswith("sfn:startExecution") else "lambda:InvokeFunction"
        machine = json.loads(target["Input"])["StateMachineArn"] if arn.endswith("sfn:startExecution") else arn
        return role_allows(role, action, machine)
    if ":function:" in arn:
        function = lambda_svc._functions.get(arn.split(":function:")[1].split(":")[0], {})
        return _lets_in(function.get("policy"), "events.amazonaws.com", rule.get("Arn"))
    if ":sns:" in arn:
        return _lets_in(sns._topics.get(arn, {}).get("attributes", {}).get("Policy"), "events.amazonaws.com", None)
    return True


def _lets_in(policy, service, source):
    policy = json.loads(policy) if isinstance(policy, str) else policy or {}
    return any(
        statement.get("Effect") == "Allow" and statement.get("Principal", {}).get("Service") == service
        and ("Condition" not in statement or source is None or source in json.dumps(statement["Condition"]))
        for statement in policy.get("Statement", [])
    )
