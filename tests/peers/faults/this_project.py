"""This project meets the faults, one after the other, on one local AWS: it is deployed only once."""

import concurrent.futures
import contextlib
import json
import socket
import time

import boto3

from local_ec2 import Local

from .account import Account
from .outcome import Outcome, difference, still
from .proxy import Proxy
from .rules import Rule

NAME = "ami-from-instance"
#: The time limit of a create whose image takes longer.
LIMIT = "1m"
#: With this data volume, in GiB, an image takes longer than that.
SLOW_GIB = 100


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ThisProject:
    """The state machine, started as users start it; a kill is StopExecution, as there is no process."""

    def __init__(self, stack):
        ec2_port, proxy_port = free_port(), free_port()
        through = f"http://127.0.0.1:{proxy_port}"
        local = stack.enter_context(Local("up", "--speed", "1", "--ec2-port", ec2_port, "--ec2-through", through))
        self.addresses = local.addresses
        self.account = Account(self.addresses)
        self.proxy = stack.enter_context(Proxy(self.addresses["AWS_ENDPOINT_URL_EC2"], Rule(), proxy_port))
        self.machine = self.addresses["LIFECYCLE_MACHINE_ARN"]
        self.step_functions = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=self.addresses["AWS_REGION"]
        ).client("stepfunctions", endpoint_url=self.addresses["AWS_ENDPOINT_URL"])

    def start(self, name, request):
        started = self.step_functions.start_execution(stateMachineArn=self.machine, name=name, input=json.dumps(request))
        return started["executionArn"]

    def end(self, execution):
        """How an execution ended."""
        while (described := self.step_functions.describe_execution(executionArn=execution))["status"] == "RUNNING":
            time.sleep(1)
        return described

    def request(self, fault, number):
        """What the machine is to do under a fault."""
        instance = self.account.launch(SLOW_GIB if fault.slow else 0)
        request = {"name": f"compared-{number}", "sourceInstanceId": instance}
        if fault.slow:
            request["timeouts"] = {"create": LIMIT}
        if fault.task == "create":
            return request
        made = json.loads(self.end(self.start(f"made-{number}", request))["output"])
        return {"action": "delete", "imageId": made["id"]}

    def meet(self, fault, number, request):
        name = f"compared-{number}"
        parts = self.account.parts(request["imageId"]) if fault.task == "delete" else {}
        before = self.account.now()
        self.proxy.rule = rule = fault.rule()
        start = time.monotonic()
        execution = self.start(name, request)
        if fault.signal:
            rule.struck.wait()
            time.sleep(fault.after)
            self.step_functions.stop_execution(executionArn=execution)
        described = self.end(execution)
        seconds = time.monotonic() - start
        # Rollbacks come after the execution.
        after = self.account.settled(60 if fault.signal else 15)
        self.proxy.rule = Rule()
        left, kept = difference(before, after), still(parts, after)
        error = described.get("error")
        end = " ".join(filter(None, [described["status"], error]))
        return Outcome(fault.task, end, described.get("cause") or "", described["status"] == "SUCCEEDED", left, kept, seconds)


def meet_all(faults, task, say):
    """The outcome of each fault of a task, by the fault."""
    outcomes, stopped = {}, None
    with contextlib.ExitStack() as stack:
        project = ThisProject(stack)
        mine = [fault for fault in faults if fault.task == task]
        with concurrent.futures.ThreadPoolExecutor(len(mine)) as pool:
            requests = list(pool.map(project.request, mine, range(len(mine))))
        for number, (fault, request) in enumerate(zip(mine, requests)):
            if not (fault.signal and stopped):
                outcome = project.meet(fault, number, request)
                say(NAME, fault, outcome)
                stopped = outcome if fault.signal else stopped
            # No matter which signal: it is stopped.
            outcomes[fault] = stopped if fault.signal else outcome
    return outcomes
