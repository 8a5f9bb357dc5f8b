"""What goes wrong with calls. Each strikes when its action is first called."""

import threading
import time


class Rule:
    """Lets everything pass, and says when its action has been done."""

    def __init__(self, action=None):
        self.action = action
        self.struck = threading.Event()
        self.lock = threading.Lock()

    def is_first(self, call):
        with self.lock:
            first = call.action == self.action and not self.struck.is_set()
            if first:
                self.struck.set()
            return first

    def strike(self, call):
        """Whether it has answered the call."""
        self.is_first(call)
        return False


class AnswerLost(Rule):
    """The work is done, and the connection is reset instead of the answer."""

    def strike(self, call):
        if not self.is_first(call):
            return False
        call.forward()
        call.reset()
        return True


class ErrorAfterwards(Rule):
    """The work is done, and the answer is an internal error."""

    def strike(self, call):
        if not self.is_first(call):
            return False
        call.forward()
        call.refuse(500, "InternalError", "An internal error has occurred")
        return True


class Throttled(Rule):
    """For so many seconds every call is refused, whatever its action."""

    def __init__(self, action, seconds):
        super().__init__(action)
        self.seconds = seconds

    def strike(self, call):
        if self.is_first(call):
            self.until = time.monotonic() + self.seconds
        if not self.struck.is_set() or self.until < time.monotonic():
            return False
        call.refuse(503, "RequestLimitExceeded", "Request limit exceeded.")
        return True


class InUse(Rule):
    """For so many seconds after the image is deregistered its snapshots seem to be in use."""

    def __init__(self, seconds):
        super().__init__("DeregisterImage")
        self.seconds = seconds

    def strike(self, call):
        if self.is_first(call):
            self.until = time.monotonic() + self.seconds
            self.image = call.parameters.get("ImageId")
        if call.action != "DeleteSnapshot" or not self.struck.is_set() or self.until < time.monotonic():
            return False
        snapshot = call.parameters.get("SnapshotId")
        call.refuse(400, "InvalidSnapshot.InUse", f"The snapshot {snapshot} is currently in use by {self.image}")
        return True


class Held(Rule):
    """The work is done, and the answer kept back for a while, so that the caller can be killed before it has it."""

    def strike(self, call):
        if call.action != self.action:
            return False
        answer = call.forward()
        self.struck.set()
        time.sleep(5)
        call.answer(*answer)
        return True
