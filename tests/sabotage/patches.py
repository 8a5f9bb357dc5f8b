"""Changes of the machines and the template that each break something."""

import dataclasses

from . import copy


@dataclasses.dataclass(frozen=True)
class Patch:
    """Replaces a text in a file: the first such text after a heading."""

    title: str
    file: str
    after: str
    old: str
    new: str

    def name(self):
        return f"{self.file}: {self.title}"

    def patched(self, whole):
        """Gives a text with the change."""
        head, found, rest = whole.partition(self.after)
        if not found or self.old not in rest:
            raise SystemExit(f"{self.name()}: there is no such text any more")
        return head + found + rest.replace(self.old, self.new, 1)

    def apply(self):
        """Gives the text as it was."""
        whole = (copy.ROOT / self.file).read_text()
        copy.write(self.file, self.patched(whole).encode())
        return whole


def lifecycle(title, after, old, new):
    return Patch(title, "state-machine/lifecycle.asl.json", after, old, new)


def operation(title, after, old, new):
    return Patch(title, "state-machine/operation.asl.json", after, old, new)


def create(title, after, old, new):
    return Patch(title, "state-machine/create.asl.json", after, old, new)


def template(title, after, old, new):
    return Patch(title, "template.yaml", after, old, new)


PATCHES = [
    lifecycle("reading the request is not tried again when it is throttled", '"Read the request"', '["Throttled"]', '["Never"]'),
    lifecycle("a request's reading may take a second", '"Read the request"', '"TimeoutSeconds": 70', '"TimeoutSeconds": 1'),
    lifecycle("the plan's last operation is left out", '"What is next?": {', ".done < ", ".done + 1 < "),
    lifecycle("a refused request is planned all the same", '"What is next?": {', "$exists($states.input.error)", "false"),
    lifecycle("an operation does not know its run", '"Run the next operation": {', "'run': $states.input.run, ", ""),
    lifecycle("an operation does not know what was done before", '"Run the next operation": {', "'results': $states.input.results, ", ""),
    lifecycle("all operations of a run have one name", '"Run the next operation": {', "$string($states.input.done + 1)", "'1'"),
    lifecycle("an operation that fails is not rolled back", '"Run the next operation": {', '"Next": "Roll back"', '"Next": "Fail with the error"'),
    lifecycle("an operation has a fixed timeout", '"Run the next operation": {', '"{% $states.input.operations[$states.input.done].timeoutSeconds %}"', "2400"),
    lifecycle("starting an operation is not tried again", '"Run the next operation": {', '"MaxAttempts": 7', '"MaxAttempts": 0'),
    lifecycle("the rollback undoes as if nothing had been begun", '"Roll back": {', '"position": "{% $min([$states.input.done + 1, $count($states.input.operations)]) %}"', '"position": 0'),
    lifecycle("the rollback is not told why the operation failed", '"Roll back": {', " : $error %}", " : {'name': '', 'message': ''} %}"),
    lifecycle("a rollback that fails is not looked at", '"Roll back": {', '"Next": "Name the failure"', '"Next": "Fail with the error"'),
    lifecycle("what the rollback could not remove is not told", '"Name the failure": {', "$states.result.Error = 'LeftoversRemain'", "false"),
    lifecycle("a run that was redriven goes on", '"What is next?": {', "RedriveCount > 0 and ", "RedriveCount > 9 and "),
    lifecycle("a run that was redriven may succeed", '"Give the result": {', "RedriveCount > 0 ", "RedriveCount > 9 "),
    create("every action may go through the machine that creates", '"Is it a create?": {', "$states.input.action != 'create'", "false"),
    create("the machine that creates sends whatever it is sent", '"Create the image": {', "'action': 'create', ", ""),
    create("creates may prune although the stack says no", '"Is it a create?": {', "'${MayPrune}' != 'true'", "false"),
    operation("an instance is stopped by the function that images it", '"Choose the functions"', '"stop": {"begin": "${InstanceStateFunctionArn}"', '"stop": {"begin": "${StartCreateFunctionArn}"'),
    operation("an update is looked at as a create", '"Choose the functions"', '"look": "${StartUpdateFunctionArn}"', '"look": "${CheckStatusFunctionArn}"'),
    operation("beginning is tried again without end", '"Begin": {', '"MaxAttempts": 8', '"MaxAttempts": 99999'),
    operation("a beginning that cannot be told is not tried again", '"Begin": {', '"Sandbox.Timedout", ', ""),
    operation("what a beginning answers is forgotten", '"Begin": {', "$merge([$states.input, $states.result.Payload])", "$states.input"),
    operation("an operation that failed is waited for", '"Is it done?": {', "$states.input.status = 'Failed'", "false"),
    operation("what was not begun is looked at", '"Is it done?": {', '"Next": "Wait to begin again"', '"Next": "Wait"'),
    operation("no wait is shortened by an event", '"Is it done?": {', " and $states.input.wake", " and false"),
    operation("a wait for an event ends the operation", '"Wait for the event": {', '["States.Timeout"]', '["Never"]'),
    operation("an event is waited for without end", '"Wait for the event": {', '      "TimeoutSeconds": "{% $states.input.waitSeconds %}",\n', ""),
    operation("a look that is throttled fails at once", '"Look": {', '["Throttled"]', '["Never"]'),
    operation("a look does not know whether an event came", '"Look": {', "'woken': $woken, ", ""),
    operation("the operation's result is lost", '"Give the result": {', "$states.input.result}", "{}}"),
    operation("a day is too long", '"QueryLanguage"', '"TimeoutSeconds": 90000', '"TimeoutSeconds": 600'),
    template("a create has four hours", "  CreateTimeout:", "Default: 40m", "Default: 4h"),
    template("functions have three seconds", "Globals:", "Timeout: 60", "Timeout: 3"),
    template("an aborted run is not rolled back", "RunEndedBadly:", "status: [ABORTED, TIMED_OUT, FAILED]", "status: [TIMED_OUT, FAILED]"),
    template("the rule also takes runs that succeeded", "RunEndedBadly:", "[ABORTED, TIMED_OUT, FAILED]", "[ABORTED, TIMED_OUT, FAILED, SUCCEEDED]"),
    template("an image that failed wakes nobody", "ImageEnded:", "State: [available, failed]", "State: [available]"),
    template("the sweep comes once a day", "  SweepSchedule:", "Default: rate(1 hour)", "Default: rate(1 day)"),
    template("the sweep sends another event", "Sweep:\n", '"detail-type": "Sweep"', '"detail-type": "Swept"'),
    template("images of others may be changed by default", "  AllowUnmanagedImages:", 'Default: "false"', 'Default: "true"'),
    template("what runs made cannot be removed whole: no snapshot may be deleted", "RemoveWhatRunsMade", "ec2:DeregisterImage, ec2:DeleteSnapshot, ", "ec2:DeregisterImage, "),
    template("a look may not see snapshots", "CheckStatusFunction:", "ec2:DescribeSnapshots, ", ""),
    template("the rollback may not stop an operation", "CleanupFunction:", "[states:StopExecution, states:GetExecutionHistory]", "states:GetExecutionHistory"),
]


def check():
    """That each can still be made."""
    for patch in PATCHES:
        patch.patched((copy.PROJECT / patch.file).read_text())
