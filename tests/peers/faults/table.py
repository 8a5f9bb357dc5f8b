"""The outcomes as Markdown."""

import re

INTRODUCTION = """\
# Under the same faults

Each of them makes an image of an instance, or deletes one with its snapshots, on the local EC2. A proxy before EC2
brings the fault. A cell says how it ended and what is left in EC2 half a minute later, without the instance. A create
that succeeds is to leave an image and its snapshot. Everything else is to leave nothing; what is left all the same is in
**bold**. Nobody starts anything a second time.

`tests/peers/compare docs/peers.md` made this table on {date}, with
{versions}.

- The AWS CLI is a script of `create-image` and the waiters, or of `deregister-image` and `delete-snapshot`; boto3 is the same
  in Python.
- Packer makes an instance of its own, and deletes no images. Cloud Custodian makes none.
- Each has its usual retries. Where the image takes longer than the limit, the limit is a minute; the AWS CLI's waiter has ten.
- This project has no process to kill: its execution is stopped instead.
"""

#: What tells most, from the best on.
TELLING = [r'"msg": "(.*)"', r"An error occurred \(.*", r"Error waiting.*", r".*[Ee]rror.*", r".*(?:failed|exceeded).*", r".*"]


def last_words(outcome):
    """What was said last that tells something, on one line that a table can have."""
    lines = [line.strip() for line in outcome.message.splitlines() if line.strip()]
    for telling in TELLING:
        found = [match for line in lines if (match := re.search(telling, line))]
        if found:
            said = found[-1].group(found[-1].lastindex or 0)
            return said if len(said) <= 300 else said[:300] + "…"
    return ""


def is_telling(outcome):
    """Whether it failed, and had time to say why."""
    return not outcome.succeeded and outcome.end != "SIGKILL"


#: How many of them stand side by side: a table has room for no more.
SIDE_BY_SIDE = 3


def tables(faults, task, outcomes):
    """The tables of one task; `outcomes` has those of each peer by its name."""
    names = [name for name in outcomes if any(fault.task == task and outcome for fault, outcome in zip(faults, outcomes[name]))]
    for first in range(0, len(names), SIDE_BY_SIDE):
        yield "\n".join(table(faults, task, outcomes, names[first : first + SIDE_BY_SIDE])) + "\n"


def table(faults, task, outcomes, names):
    yield f"| {task} | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for number, fault in enumerate(faults):
        if fault.task == task:
            yield f"| {fault.title} | {' | '.join(str(outcomes[name][number] or '–') for name in names)} |"


def messages(faults, outcomes):
    for number, fault in enumerate(faults):
        said = [(name, outcomes[name][number]) for name in outcomes]
        failed = [(name, last_words(outcome)) for name, outcome in said if outcome and is_telling(outcome)]
        failed = [(name, words) for name, words in failed if words]
        if failed:
            yield f"**{fault.task}: {fault.title}**\n"
            for name, words in failed:
                yield f"- {name}: `{words.replace('`', chr(39))}`"
            yield ""


def markdown(faults, outcomes, date, versions):
    parts = [INTRODUCTION.format(date=date, versions=versions)]
    for task in ("create", "delete"):
        parts.extend(tables(faults, task, outcomes))
    parts.append("## What they said\n")
    parts.append("\n".join(messages(faults, outcomes)))
    return "\n".join(parts)
