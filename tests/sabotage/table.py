"""What was found by what, as Markdown."""

import dataclasses

from .copy import IN_PROCESS


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A change, and the test that found it: the name of its program, and its own. None where all tests pass."""

    change: str
    program: str | None
    test: str | None

    def __str__(self):
        change = self.change.replace("|", "&#124;")
        return f"{change} | {self.program or '**none**'} | {self.test or ''}"


def shares(outcomes):
    found = [one for one in outcomes if one.program]
    at_once = [one for one in found if one.program in IN_PROCESS]
    of = lambda some: f"{len(some)} ({len(some) / max(len(outcomes), 1):.0%})"
    simulated = sum(one.program == "simulation" for one in found)
    return f"{len(outcomes)} | {of(found)} | {of(at_once)} | {simulated}"


def markdown(kinds, about):
    lines = [about, "", "| | tried | found | by tests that start no process | of these only by the simulation |", "|---|---|---|---|---|"]
    lines += [f"| {kind} | {shares(outcomes)} |" for kind, outcomes in kinds.items()]
    for kind, outcomes in kinds.items():
        lines += ["", f"## {kind}", "", "| change | found by | its test |", "|---|---|---|"]
        lines += [f"| {one} |" for one in outcomes]
    return "\n".join(lines) + "\n"
