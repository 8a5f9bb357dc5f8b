"""Mutations of the functions, all compiled at once: each is a branch of its function that a switch takes."""

import json
import random
import re
import subprocess

from . import copy

#: Says which mutation is on: by its environment in a test, by a file in a process that a test starts.
SWITCH = """//! Which mutation is on.

use std::sync::LazyLock;

/// Whether this one is.
pub fn on(mutation: usize) -> bool {{
    static ON: LazyLock<usize> = LazyLock::new(|| {{
        let number = std::env::var("SABOTAGE").ok().or_else(|| std::fs::read_to_string("{file}").ok());
        number.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
    }});
    *ON == mutation
}}
"""


def draw(seed):
    """All mutations that cargo-mutants knows, in an order drawn with a seed."""
    command = ["cargo", "mutants", "--list", "--json", "--package", "ami-from-instance"]
    all_of_them = json.loads(subprocess.check_output(command, cwd=copy.ROOT))
    random.Random(seed).shuffle(all_of_them)
    for number, one in enumerate(all_of_them, 1):
        one["number"] = number
    return all_of_them


def offset(lines, place):
    return sum(len(line) for line in lines[: place["line"] - 1]) + place["column"] - 1


def replaced(text, span, replacement):
    lines = text.splitlines(keepends=True)
    return text[: offset(lines, span["start"])] + replacement + text[offset(lines, span["end"]) :]


def body(text, function):
    """Where a function's body begins and ends, braces included."""
    lines = text.splitlines(keepends=True)
    start, end = (offset(lines, function["span"][side]) for side in ("start", "end"))
    head = re.compile(rf"\bfn\s+{function['function_name'].split('::')[-1].split('<')[0]}\b").search(text, start, end)
    return text.index("{", head.end()), end


def mutated(text, one):
    """The body of a mutation's function, mutated."""
    start, end = body(text, one["function"])
    changed = replaced(text, one["span"], one["replacement"] or "")
    return changed[start : end + len(changed) - len(text)]


def woven(name, text, mutations):
    """The text of a file with its mutations as branches, each in lines that begin with its number."""
    crate = "ami_from_instance" if "/bin/" in name else "crate"
    functions = {}
    for one in mutations:
        functions.setdefault(body(text, one["function"]), []).append(one)
    for (start, end), ones in sorted(functions.items(), reverse=True):
        branch = lambda one: f"if {crate}::sabotage::on({one['number']}) {{ //begin {one['number']}\n{mutated(text, one)}\n//end\n}} else "
        branches = "".join(branch(one) for one in ones)
        text = text[:start] + "{\n" + branches + text[start:end] + "\n}" + text[end:]
    return text


def weave(mutations):
    """Writes the functions with all mutations as branches, and without those that do not compile: gives the others."""
    folder = copy.PROJECT / "functions/src"
    sources = {f"functions/src/{file.relative_to(folder)}": file.read_text() for file in folder.rglob("*.rs")}
    copy.write("functions/src/sabotage.rs", SWITCH.format(file=copy.SWITCH).encode())
    while True:
        texts = {}
        for name, text in sources.items():
            texts[name] = woven(name, text, [one for one in mutations if one["file"] == name])
        texts["functions/src/lib.rs"] += "pub mod sabotage;\n"
        for name, text in texts.items():
            copy.write(name, text.encode())
        messages, is_built = copy.cargo("build", "--bins", "--lib")
        if is_built:
            return mutations
        wrong = set(filter(None, (number_at(texts, span) for span in spans_of_errors(messages))))
        if not wrong:
            raise SystemExit("the functions do not compile, and no mutation is to blame")
        mutations = [one for one in mutations if one["number"] not in wrong]


def spans_of_errors(messages):
    for message in (one["message"] for one in messages if one["reason"] == "compiler-message"):
        if message["level"] == "error":
            yield from message["spans"]


def number_at(texts, span):
    """Which mutation a line of a woven file belongs to."""
    number = None
    for line in texts.get(span["file_name"], "").splitlines()[: span["line_start"]]:
        if begins := re.search(r"//begin (\d+)$", line):
            number = int(begins[1])
        elif line == "//end":
            number = None
    return number
