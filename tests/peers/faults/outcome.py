"""How a peer ended, and what it left."""

import dataclasses


@dataclasses.dataclass
class Outcome:
    task: str
    #: Such as `exit 0`.
    end: str
    #: The last words of what it said.
    message: str
    succeeded: bool
    #: How many of each kind are there now that were not before.
    left: dict
    #: Of those that were to be deleted, how many are still there.
    kept: dict
    seconds: float

    def is_clean(self):
        """A success with what was asked for and nothing else, or a failure that left nothing."""
        if self.task == "delete":
            return not self.kept and not self.left
        others = {kind for kind in self.left if kind not in ("image", "snapshot")}
        return not others and self.left.get("image", 0) == int(self.succeeded) and bool(self.left) == self.succeeded

    def __str__(self):
        counts = {**self.left, **self.kept}
        things = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
        there = ", ".join(things) or "nothing"
        return f"{self.end}; {there}" if self.is_clean() else f"{self.end}; **{there}**"


def difference(before, after):
    """How many of each kind are in `after` and not in `before`."""
    counts = {kind: len(after[kind] - before[kind]) for kind in after}
    return {kind: count for kind, count in counts.items() if count}


def still(parts, after):
    """How many of each kind of `parts` are still in `after`."""
    counts = {kind: len(ids & after[kind]) for kind, ids in parts.items()}
    return {kind: count for kind, count in counts.items() if count}
