"""Tries each change, and writes what was found into the file that the first argument names."""

import argparse
import concurrent.futures
import pathlib
import random
import sys

from . import copy, mutations, patches
from .table import Outcome, markdown

AT_ONCE = 2


def find(programs, tests, change, mutation=0):
    for test in tests:
        failure = copy.first_failure(programs[test], test, mutation)
        # What a busy computer breaks is not found: the test fails again, alone.
        if failure and test in copy.WITH_PROCESSES and not failure.startswith("("):
            failure = copy.first_failure(programs[test], test, mutation, only=failure) and failure
        if failure:
            return say(Outcome(change, test, failure))
    return None


def say(outcome):
    print(outcome, file=sys.stderr, flush=True)
    return outcome


def short(mutation):
    return mutation["name"].removeprefix("functions/src/")


def of_functions(programs, woven):
    """First the tests that start no process, some mutations at a time; then the others, for those that survived."""
    def in_process(one):
        return find(programs, copy.IN_PROCESS, short(one), one["number"])

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(in_process, woven))
    for at, one in enumerate(woven):
        outcomes[at] = outcomes[at] or find(programs, copy.WITH_PROCESSES, short(one), one["number"]) or say(Outcome(short(one), None, None))
    return outcomes


def of_patches(drawn):
    for patch in drawn:
        before = patch.apply()
        programs = copy.tests()
        if programs is None:
            yield say(Outcome(patch.title, "(does not compile)", None))
        else:
            yield find(programs, copy.IN_PROCESS + copy.WITH_PROCESSES, patch.name()) or say(Outcome(patch.name(), None, None))
        copy.write(patch.file, before.encode())


def main():
    parser = argparse.ArgumentParser(prog="tests/sabotage/run")
    parser.add_argument("file", type=pathlib.Path, nargs="?")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--mutations", type=int, default=100)
    parser.add_argument("--patches", type=int, default=30)
    arguments = parser.parse_args()
    patches.check()
    if arguments.file is None:
        return
    print(f"seed {arguments.seed}", file=sys.stderr)
    copy.make()
    drawn = mutations.draw(arguments.seed)
    # A constant is no branch of a function. Some mutations do not compile.
    drawn = [one for one in drawn if one["function"]][: arguments.mutations * 5 // 4]
    woven = mutations.weave(drawn)[: arguments.mutations]
    programs = copy.tests()
    print(f"{len(woven)} mutations", file=sys.stderr)
    if failed := find(programs, copy.IN_PROCESS, "nothing"):
        raise SystemExit(f"broken without a change: {failed}")
    kinds = {"Functions": of_functions(programs, woven)}
    drawn = random.Random(arguments.seed).sample(patches.PATCHES, min(arguments.patches, len(patches.PATCHES)))
    kinds["Machines and template"] = list(of_patches(drawn))
    command = f"tests/sabotage/run FILE --seed {arguments.seed} --mutations {arguments.mutations} --patches {arguments.patches}"
    arguments.file.write_text(markdown(kinds, f"Made by `{command}`."))


if __name__ == "__main__":
    main()
