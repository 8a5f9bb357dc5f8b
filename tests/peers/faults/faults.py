"""The faults that each peer meets."""

import dataclasses
import typing

from .rules import AnswerLost, ErrorAfterwards, Held, InUse, Rule, Throttled

#: How long EC2 throttles, and how long a snapshot seems to be in use, in seconds.
THROTTLED = 60
IN_USE = 20


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens while a peer creates or deletes an image."""

    title: str
    task: str
    rule: typing.Callable[[], Rule]
    #: The signal that ends the peer once the rule has struck, and after how many seconds.
    signal: str = ""
    after: float = 0
    #: Whether the image takes longer than the peer waits.
    slow: bool = False


FAULTS = [
    Fault("none", "create", Rule),
    Fault("CreateImage's answer is lost", "create", lambda: AnswerLost("CreateImage")),
    Fault("CreateImage answers 500 after the work", "create", lambda: ErrorAfterwards("CreateImage")),
    Fault("killed while waiting", "create", lambda: Rule("CreateImage"), signal="SIGKILL", after=10),
    Fault("interrupted while waiting (Ctrl-C)", "create", lambda: Rule("CreateImage"), signal="SIGINT", after=10),
    Fault("the image takes longer than the limit", "create", Rule, slow=True),
    Fault("a throttled minute from CreateImage on", "create", lambda: Throttled("CreateImage", THROTTLED)),
    Fault("none", "delete", Rule),
    Fault("DeregisterImage's answer is lost", "delete", lambda: AnswerLost("DeregisterImage")),
    Fault("DeregisterImage answers 500 after the work", "delete", lambda: ErrorAfterwards("DeregisterImage")),
    Fault("killed once the image is deregistered", "delete", lambda: Held("DeregisterImage"), signal="SIGKILL"),
    Fault("a snapshot seems in use for 20 s", "delete", lambda: InUse(IN_USE)),
    Fault("a throttled minute from DeregisterImage on", "delete", lambda: Throttled("DeregisterImage", THROTTLED)),
]
