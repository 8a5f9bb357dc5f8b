"""Starts MiniStack, made to behave like AWS where the machines rely on it.

Each function here replaces one of MiniStack's; its docstring says what AWS documents. A test of
each one is in tests/end_to_end/ministack.rs, or where that says.

More things serve the runner and the tests: TMPDIR/step-functions-calls tells what the functions
call of Step Functions, and TMPDIR/step-functions-faults what goes wrong with it; TMPDIR/machines-calls tells
what the machines call; TMPDIR/journal tells which states the executions enter and how they end, so that
whoever waits for that need not ask; TMPDIR/recording, once it is there, gets each call of a function with its
answer; TMPDIR/histories, once it is there, gets each execution that has ended with its history; TMPDIR/iam,
once it is there, has the policies of the deployment judge what it calls (permissions.py);
standard input brings the events of EC2, a line each, and when it closes MiniStack ends with every process it
started, so that nothing outlives a runner that was killed; and SPEED (a number) scales the time limits of Tasks
that wait and the rates of schedules as SFN_WAIT_SCALE scales the waits.
"""

import contextlib
import datetime
import functools
import glob
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import uuid

import botocore.session
import permissions
from jsonata.timebox import Timebox
from ministack.core import iam_evaluator, lambda_runtime, responses
from ministack.services import eventbridge, iam, lambda_svc, scheduler, ssm
from ministack.services import stepfunctions as sfn

SPEED = float(os.environ.get("SPEED", "1"))
STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"

execute_task = sfn._execute_task
invoke_with_callback = sfn._invoke_with_callback
invoke_resource_with_timeout = sfn._invoke_resource_with_timeout
apply_output_path = sfn._apply_output_path
run_execution = sfn._run_execution
start_execution = sfn._start_execution
stop_execution = sfn._stop_execution
fail_execution = sfn._fail_execution
describe_state_machine = sfn._describe_state_machine
add_event = sfn._add_event
parse_rate_seconds = eventbridge._parse_rate_seconds
handle_request = sfn.handle_request
execute_function = lambda_svc._execute_function_provided_warm
invoke_target = eventbridge._invoke_target
get_parameter = ssm._get_parameter
dispatch_query = sfn._dispatch_aws_sdk_query
evaluate = iam_evaluator.evaluate
extract_simulate_params = iam._extract_simulate_params
invalidate_worker = lambda_svc.invalidate_worker
release_worker = lambda_svc.release_worker


def execute_task_with_computed_timeout(state, raw_input, execution, ctx):
    """TimeoutSeconds of a Task may be a JSONata expression ("Task workflow state", AWS Step
    Functions Developer Guide)."""
    if "TimeoutSeconds" in state:
        seconds = sfn._jsonata_state_field(state, "TimeoutSeconds", "number", raw_input, ctx)
        resource = state.get("Resource", "")
        waits = "states:startExecution" in resource or resource.endswith(".waitForTaskToken")
        state = {**state, "TimeoutSeconds": seconds / SPEED if waits else seconds}
    task.execution = execution
    return execute_task(state, raw_input, execution, ctx)


# The execution whose Task a thread executes.
task = threading.local()


def note_call_of_machine(resource, arguments):
    """What the machines call is written down in TMPDIR, without what it is to work on."""
    about = {name: value for name, value in arguments.items() if name not in ("Payload", "Input")}
    line = {"machine": task.execution["stateMachineArn"], "resource": resource, "arguments": about}
    with open(os.path.join(os.environ["TMPDIR"], "machines-calls"), "a") as file:
        file.write(json.dumps(line) + "\n")


def note_arguments(arguments):
    """The history has a Task's arguments ("TaskScheduledEventDetails", API Reference)."""
    details = task.execution["events"][-1]["taskScheduledEventDetails"]
    details["parameters"] = json.dumps(arguments)
    return details


def deny_what_no_role_allows(resource, arguments):
    """A Task that the role of its machine does not allow fails. Tested in tests/proof/iam.rs."""
    if permissions.are_judged() and not permissions.machine_allows(task.execution["stateMachineArn"], resource, arguments):
        service = resource.split(":::", 1)[-1].split(":")[0]
        name = {"lambda": "Lambda", "events": "EventBridge", "aws-sdk": "Sfn"}.get(service, "StepFunctions")
        raise sfn._ExecutionError(f"{name}.AccessDeniedException", "the role of the machine does not allow it")


def invoke_resource_and_note(resource, arguments, timeout):
    note_arguments(arguments)
    note_call_of_machine(resource, arguments)
    deny_what_no_role_allows(resource, arguments)
    return invoke_resource_with_timeout(resource, arguments, timeout)


def invoke_with_callback_and_history(resource, arguments, token, state):
    """The history says when a Task waits ("TaskSubmittedEventDetails", API Reference)."""
    details = note_arguments(arguments)
    sfn._add_event(task.execution, "TaskSubmitted", {"taskSubmittedEventDetails": details})
    note_call_of_machine(resource, arguments)
    deny_what_no_role_allows(resource, arguments)
    return invoke_with_callback(resource, arguments, token, state)


# How many functions run at once: each that finds no idle process starts one.
places = threading.BoundedSemaphore(64)


def execute_function_in_turn(function, event, request_id):
    """An account runs a thousand functions at once ("Lambda quotas"), which is more than a computer can
    start: those that find no place wait for one, and their time limits begin when they have it."""
    with places:
        at = time.monotonic()
        result = execute_function(function, event, request_id)
        recording.note_function(function["config"]["FunctionName"], at, event, result)
        return result


# Processes of an earlier version of a function that still answer a call.
retired = []


def retire_workers(name, **scope):
    """After an update of a function, "Lambda shuts down idle execution environments" ("Lambda runtime environment"),
    and a call that is under way comes to its end. Tested in tests/stress/deploys/amid_runs.rs."""
    with lambda_runtime._lock:
        for key, workers in lambda_runtime._workers.items():
            if key.split(":")[-2] == name:
                busy = [worker for worker in workers if worker.in_use and worker._proc and worker._proc.poll() is None]
                retired.extend(busy)
                workers[:] = [worker for worker in workers if worker not in busy]
    invalidate_worker(name, **scope)


def release_and_end_retired(worker):
    release_worker(worker)
    if worker in retired:
        retired.remove(worker)
        worker.kill()


class Recording:
    """The calls of the functions with their answers, and what each was answered by Step Functions: a line
    each in TMPDIR/recording. Who wants them lets one run go on at a time."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "recording")
        self.answers = {}

    def note_answer(self, caller, action, body, answer):
        """What Step Functions has answered a function, by its application id."""
        status, _, text = answer
        said = {"action": action, "sent": json.loads(body), "status": status, "answered": json.loads(text or "null")}
        self.answers.setdefault(caller.removeprefix("ami-from-instance-"), []).append(said)

    def note_function(self, name, at, event, result):
        words = re.findall("[A-Z][a-z]+", re.search(r"-(\w+)Function-", name).group(1))
        function = "-".join(words).lower()
        answers = self.answers.pop(function, [])
        if not os.path.exists(self.path) or result.get("error"):
            return
        call = {"function": function, "at": at * SPEED, "sent": event, "answered": result["body"], "stepFunctions": answers}
        with open(self.path, "a") as file:
            file.write(json.dumps(call) + "\n")


recording = Recording(os.environ["TMPDIR"])


def own_milliseconds():
    """An expression may take a second to evaluate: of its own, not of the other executions that go on
    in this process."""
    return round(time.thread_time() * 1000)


def apply_output(state, data, ctx=None):
    """A Succeed state may have an Output ("Succeed workflow state")."""
    if state.get("Type") == "Succeed" and sfn._state_query_language(state, ctx) == "JSONata":
        return sfn._apply_jsonata_output(state, data, ctx, default=data)
    return apply_output_path(state, data, ctx)


def compact(value):
    """JSON without spaces, in one order of its fields: what is cut off after some characters does not depend on them."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def milliseconds(time):
    return round(datetime.datetime.fromisoformat(time).timestamp() * 1000)


def start_child_and_wait(resource, arguments):
    """A child that does not succeed gives its parent States.TaskFailed, with the child's
    DescribeExecution document as the Cause; a child's name can be used once ("Integrate AWS Step
    Functions", startExecution.sync:2)."""
    request = sfn._nested_start_execution_request(arguments)
    request["input"] = compact(json.loads(request["input"]))
    machine = sfn._state_machines.get(request["stateMachineArn"])
    if machine and "name" in request:
        arn = request["stateMachineArn"].replace(":stateMachine:", ":execution:") + ":" + request["name"]
        if arn in sfn._executions:
            raise sfn._ExecutionError(
                "StepFunctions.ExecutionAlreadyExistsException", f"Execution Already Exists: '{arn}'")
    status, _, body = sfn._start_sync_execution(request)
    child = json.loads(body)
    if status >= 400:
        raise sfn._ExecutionError("StepFunctions." + child.get("__type", "AWSStepFunctionsException"), child.get("message", ""))
    described = {
        "ExecutionArn": child["executionArn"],
        "Input": child["input"],
        "InputDetails": {"Included": True},
        "Name": child["name"],
        "RedriveCount": 0,
        "StartDate": milliseconds(child["startDate"]),
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": milliseconds(child["stopDate"]),
    }
    if child["status"] == "SUCCEEDED":
        return {**described, "Output": json.loads(child["output"]), "OutputDetails": {"Included": True}}
    execution = sfn._executions[child["executionArn"]]
    for key in ("error", "cause"):
        if execution.get(key):
            described[key.capitalize()] = execution[key]
    raise sfn._ExecutionError("States.TaskFailed", compact(described))


def start_execution_once(data):
    """StartExecution with the name and the input of a running execution returns that execution
    ("StartExecution", API Reference)."""
    machine = data.get("stateMachineArn", "")
    arn = machine.replace(":stateMachine:", ":execution:") + ":" + (data.get("name") or "")
    running = sfn._executions.get(arn)
    if running and running["status"] == "RUNNING" and running["input"] == data.get("input", "{}"):
        return sfn.json_response({"executionArn": arn, "startDate": running["startDate"]})
    return start_execution(data)


def stop_execution_and_children(data):
    """Stopping an execution stops the child executions its .sync Tasks wait for, on a best effort
    ("Run a job (.sync)")."""
    stopped = sfn._executions.get(data.get("executionArn"))
    if not stopped or stopped["status"] != "RUNNING":
        return stop_execution(data)
    response = stop_execution(data)
    for arn, execution in list(sfn._executions.items()):
        try:
            parent = json.loads(execution["input"]).get(STARTED_BY)
        except (ValueError, AttributeError):
            continue
        if parent == data.get("executionArn") and execution["status"] == "RUNNING":
            stop_execution_and_children({"executionArn": arn, "error": "States.TaskAborted"})
    if stopped["status"] == "ABORTED":
        journal.note_end(stopped)
    return response


def fail_running_execution(execution, error, cause):
    """An execution that was stopped, or has timed out, stays so."""
    if execution["status"] == "RUNNING":
        fail_execution(execution, error, cause)


def run_execution_with_timeout(arn):
    """A machine's own TimeoutSeconds ends an execution with the status TIMED_OUT ("State machine
    structure")."""
    execution = sfn._executions.get(arn)
    machine = execution and sfn._state_machines.get(execution["stateMachineArn"])
    definition = machine and machine["definition"]
    seconds = definition and json.loads(definition).get("TimeoutSeconds")
    if not seconds:
        try:
            return run_execution(arn)
        finally:
            note_end(execution, definition)

    def time_out():
        if execution["status"] == "RUNNING":
            execution.update(status="TIMED_OUT", stopDate=sfn.now_iso(), error="States.Timeout")
            sfn._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {"error": "States.Timeout"}})
            sfn._emit_execution_status_event(execution)
            journal.note_end(execution)

    timer = threading.Timer(seconds / SPEED, time_out)
    timer.daemon = True
    timer.start()
    try:
        run_execution(arn)
    finally:
        timer.cancel()
        note_end(execution, definition)


class Journal:
    """What the executions do, a line each in TMPDIR/journal."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "journal")
        self.lock = threading.Lock()

    def note(self, what, execution, about):
        line = json.dumps({what: {"executionArn": execution["executionArn"], **about}}) + "\n"
        with self.lock, open(self.path, "a") as file:
            file.write(line)

    def note_state(self, execution, event):
        operation = operation_of(execution["input"])
        state = event["stateEnteredEventDetails"]["name"]
        about = {"operation": operation, "id": event["id"], "state": state, "at": event["timestamp"]}
        self.note("entered", execution, about)

    def note_end(self, execution):
        self.note("ended", execution, {name: execution.get(name) for name in ("status", "output", "error", "cause")})


journal = Journal(os.environ["TMPDIR"])


@functools.lru_cache
def operation_of(text):
    """What an execution with this input does: a run says nothing about it."""
    try:
        operation = json.loads(text).get("operation")
    except (ValueError, AttributeError):
        operation = None
    return operation if isinstance(operation, str) else "run"


def add_event_and_note(execution, event_type, details=None):
    event = add_event(execution, event_type, details)
    if event_type.endswith("StateEntered"):
        journal.note_state(execution, event)
    return event


def note_end(execution, definition):
    """Writes down how an execution has ended. What aborts it, or times it out, does so itself."""
    try:
        if execution:
            note_history(execution, definition)
    finally:
        if execution and execution["status"] in ("SUCCEEDED", "FAILED"):
            journal.note_end(execution)


histories = threading.Lock()


def note_history(execution, definition):
    """An execution that has ended, with its history and the definition with which it ran, is a line in
    TMPDIR/histories."""
    path = os.path.join(os.environ["TMPDIR"], "histories")
    if os.path.exists(path):
        line = json.dumps({**execution, "definition": definition}, default=str) + "\n"
        with histories, open(path, "a") as file:
            file.write(line)


class FunctionsCalls:
    """What the functions call of Step Functions, written down in TMPDIR as CloudTrail would, and what
    goes wrong with it, as another file there says: a line for each fault, and null where all before it
    are dropped."""

    def __init__(self, folder):
        self.log = os.path.join(folder, "step-functions-calls")
        self.rules = os.path.join(folder, "step-functions-faults")
        self.read = 0
        self.faults = []

    def strike(self, caller, action, body):
        """What goes wrong with a call, if anything; counts it."""
        size = os.path.getsize(self.rules) if os.path.exists(self.rules) else 0
        if size > self.read:
            with open(self.rules) as file:
                file.seek(self.read)
                for fault in map(json.loads, file.read(size - self.read).splitlines()):
                    self.faults = self.faults + [fault] if fault else []
            self.read = size
        for fault in self.faults:
            met = fault["caller"] in ("", caller) and fault["action"] == action and fault["mentioning"] in body
            if fault["times"] and met:
                if fault["after"]:
                    fault["after"] -= 1
                    return None
                fault["times"] -= 1
                return fault["kind"]
        return None

    def note(self, caller, action, body, fault):
        with open(self.log, "a") as file:
            file.write(json.dumps({"caller": caller, "action": action, "body": body, "fault": fault}) + "\n")


calls = FunctionsCalls(os.environ["TMPDIR"])


def answer(status, code):
    return status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps({"__type": code, "message": code}).encode()


async def handle_request_of_function(method, path, headers, body, query_params):
    """Calls of the functions are written down, and go wrong on demand. The SDK tells the caller's
    application id in its user agent."""
    headers = {name.lower(): value for name, value in headers.items()}
    caller = re.search(r"\bapp/(\S+)", headers.get("x-amz-user-agent", headers.get("user-agent", "")))
    if not caller:
        return await handle_request(method, path, headers, body, query_params)
    text = body.decode()
    action = headers.get("x-amz-target", "").split(".")[-1]
    fault = calls.strike(caller.group(1), action, text)
    calls.note(caller.group(1), action, text, fault)
    if fault == "Throttled":
        return answer(400, "ThrottlingException")
    if fault == "Unavailable":
        return answer(503, "ServiceUnavailable")
    if fault == "Refused":
        return answer(400, "AccessDeniedException")
    if permissions.are_judged() and not permissions.function_allows(caller.group(1), action, json.loads(text)):
        return answer(400, "AccessDeniedException")
    done = await handle_request(method, path, headers, body, query_params)
    recording.note_answer(caller.group(1), action, text, done)
    return answer(500, "InternalFailure") if fault == "LostResponse" else done


def scaled_rate_seconds(expression):
    """The seconds of a rate(…), in the local time."""
    seconds = parse_rate_seconds(expression)
    return seconds and seconds / SPEED


def invoke_target_of_schedule(target, event, rule, view=None):
    """Scheduler replaces its keywords in an Input, and calls any action of the AWS SDK ("Adding
    context attributes" and "Using universal targets", EventBridge Scheduler User Guide). It
    delivers at least once: here always twice."""
    if permissions.are_judged() and not permissions.rule_allows(target, rule):
        return None
    if not target["Arn"].endswith(":scheduler:::aws-sdk:sfn:startExecution"):
        return invoke_target(target, event, rule, view)
    request = json.loads(target["Input"].replace("<aws.scheduler.execution-id>", event["EventId"].replace("-", "")[:16]))
    for _ in range(2):
        sfn._start_execution({name[0].lower() + name[1:]: value for name, value in request.items()})


def get_public_parameter(data):
    """AWS publishes the newest images of Amazon Linux as parameters ("Calling AMI public parameters in Parameter
    Store", AWS Systems Manager User Guide). Tested in tests/proof/whole.rs."""
    name = data.get("Name", "")
    if not name.startswith("/aws/service/ami-amazon-linux-latest/"):
        return get_parameter(data)
    parameter = {"Name": name, "Type": "String", "Value": os.environ["PUBLIC_IMAGE"], "Version": 1}
    return responses.json_response({"Parameter": parameter})


def call_local_ec2(service_info, service_name, action, input_data):
    """The local EC2 is EC2 for the machines, too. Tested in tests/proof/whole.rs."""
    if service_name != "ec2":
        return dispatch_query(service_info, service_name, action, input_data)
    client = botocore.session.get_session().create_client("ec2", endpoint_url=os.environ["AWS_ENDPOINT_URL_EC2"])
    try:
        answer = getattr(client, botocore.xform_name(action))(**input_data)
    except botocore.exceptions.ClientError as error:
        raise sfn._ExecutionError("Ec2.Ec2Exception", str(error)) from error
    del answer["ResponseMetadata"]
    return json.loads(json.dumps(answer, default=lambda time: time.isoformat()))


# What the call that a thread answers asks to be taken for granted.
simulation = threading.local()


def extract_with_context(p):
    """SimulatePrincipalPolicy takes the values of condition keys as ContextEntries (API Reference). Tested in
    tests/proof/sabotage.rs."""
    simulation.context = {}
    for number in range(1, 1000):
        entry = f"ContextEntries.member.{number}"
        key = iam._p(p, f"{entry}.ContextKeyName")
        if not key:
            break
        values = [iam._p(p, f"{entry}.ContextKeyValues.member.{at}") for at in range(1, 100)
                  if f"{entry}.ContextKeyValues.member.{at}" in p]
        is_list = iam._p(p, f"{entry}.ContextKeyType").endswith("List")
        simulation.context[key.lower()] = values if is_list else (values or [""])[0]
    return extract_simulate_params(p)


def evaluate_with_context(ctx, policies, *limits):
    # A request that names no tags has no aws:TagKeys ("AWS global condition context keys", IAM User Guide).
    unnamed = {} if ctx.tag_keys else {"aws:tagkeys": None}
    ctx.service_context = {**unnamed, **ctx.service_context, **getattr(simulation, "context", {})}
    return evaluate(ctx, policies, *limits)


def describe_with_logging(data):
    """The answer has the logging as the API spells it ("LoggingConfiguration", AWS Step Functions API Reference),
    not as a template does. Tested in tests/proof/whole.rs."""
    status, headers, body = describe_state_machine(data)
    answer = json.loads(body)
    if "loggingConfiguration" in answer:
        answer["loggingConfiguration"] = uncapitalized(answer["loggingConfiguration"])
    return status, headers, json.dumps(answer)


def uncapitalized(value):
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: uncapitalized(inner) for name, inner in value.items()}
    return [uncapitalized(inner) for inner in value] if isinstance(value, list) else value


def children():
    """The processes that this one started."""
    for path in glob.glob("/proc/self/task/*/children"):
        # A thread may have ended since.
        with contextlib.suppress(OSError), open(path) as file:
            yield from map(int, file.read().split())


def tell(event):
    """EventBridge delivers at least once ("Event retry", EventBridge User Guide): here always twice, a
    second apart. PutEvents takes no events of AWS's own services, and no time in the past."""
    record = {
        **event,
        "EventId": str(uuid.uuid4()),
        "Detail": json.dumps(event["Detail"]),
        "EventBusName": "default",
        "Account": sfn.get_account_id(),
        "Region": sfn.get_region(),
    }
    deliver(record)
    again = threading.Timer(1, deliver, [record])
    again.daemon = True
    again.start()


deliveries = threading.Lock()


def deliver(record):
    """One after the other: each call that finds no idle process of the function starts one."""
    with deliveries:
        eventbridge._dispatch_event(record)
        time.sleep(0.025)


def read_standard_input():
    """Takes in the events of EC2; once the runner is gone, ends the process group, functions included,
    and removes TMPDIR."""
    try:
        for line in sys.stdin.buffer:
            tell(json.loads(line))
    finally:
        end()


def end():
    try:
        # Not the whole group at once: where nothing reaps orphans, they would stay as zombies.
        for child in children():
            # MiniStack may have noticed its end first.
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    finally:
        os.killpg(0, signal.SIGKILL)


def main():
    Timebox.current_milli_time = staticmethod(own_milliseconds)
    sfn._execute_task = execute_task_with_computed_timeout
    sfn._invoke_with_callback = invoke_with_callback_and_history
    sfn._invoke_resource_with_timeout = invoke_resource_and_note
    sfn._apply_output_path = apply_output
    sfn._invoke_nested_start_execution_sync = start_child_and_wait
    sfn._start_execution = start_execution_once
    sfn._stop_execution = stop_execution_and_children
    sfn._fail_execution = fail_running_execution
    sfn._add_event = add_event_and_note
    sfn._run_execution = run_execution_with_timeout
    sfn._describe_state_machine = describe_with_logging
    sfn._dispatch_aws_sdk_query = call_local_ec2
    lambda_svc._execute_function_provided_warm = execute_function_in_turn
    # It hashes the package again for each process that it starts.
    lambda_svc._provided_runtime_code_dir = functools.cache(lambda_svc._provided_runtime_code_dir)
    lambda_svc.invalidate_worker = retire_workers
    lambda_svc.release_worker = release_and_end_retired
    sfn.handle_request = handle_request_of_function
    ssm._get_parameter = get_public_parameter
    iam._extract_simulate_params = extract_with_context
    iam_evaluator.evaluate = evaluate_with_context
    eventbridge._parse_rate_seconds = scaled_rate_seconds
    eventbridge._invoke_target = invoke_target_of_schedule
    scheduler._SCHEDULE_TICK_INTERVAL /= SPEED
    threading.Thread(target=read_standard_input, daemon=True).start()

    from ministack.app import main as serve

    sys.argv = sys.argv[:1]
    serve()


if __name__ == "__main__":
    main()
