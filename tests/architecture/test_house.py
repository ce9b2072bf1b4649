"""The house rules that a linter cannot check."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import andon.ports
from andon.api.v1 import actions
from andon.kernel.errors import ERRORS, Fenced, NotLoggedIn, Stale, TooMany

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "andon"
BANNED_NAMES = {"utils", "helpers", "common", "manager", "service", "base"}
MODULES = sorted(SOURCE.rglob("*.py"))


def test_no_module_has_a_name_that_says_nothing():
    assert not [path for path in MODULES if path.stem in BANNED_NAMES]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_why_it_exists(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_every_action_is_carried_out_by_exactly_one_port_method():
    taken: list[str] = []
    for _, port in inspect.getmembers(andon.ports, inspect.isclass):
        for _, method in inspect.getmembers(port, inspect.isfunction):
            annotation = str(inspect.signature(method).parameters.get("action", ""))
            taken += re.findall(r"action: '?(\w+)", annotation)
    every = [kind.__name__ for kind in actions.Action.__subclasses__()]
    assert sorted(taken) == sorted(every)


NARROWER = (Fenced, Stale, NotLoggedIn, TooMany)
"""What is said more exactly than the house's class, with its exit code."""


def test_exit_codes_are_those_of_the_house():
    assert all(error.exit_code == error.__mro__[1].exit_code for error in NARROWER)
    codes = {error.code: error.exit_code for error in ERRORS if error not in NARROWER}
    assert codes == {
        "InternalError": 1,
        "UsageError": 2,
        "InvalidDocument": 3,
        "NotFound": 4,
        "Conflict": 5,
        "Denied": 6,
        "Unavailable": 7,
        "StepFailed": 8,
        "TimedOut": 9,
        "Held": 10,
        "Untrusted": 11,
        "Drifted": 12,
    }


@pytest.mark.parametrize("floor", ["kernel", "api", "calc", "domains"])
def test_pure_floors_read_no_clock(floor: str):
    banned = re.compile(r"datetime\.(now|utcnow)|time\.time\(|uuid4|perf_counter|monotonic\(")
    found = [path for path in (SOURCE / floor).rglob("*.py") if banned.search(path.read_text())]
    assert not found


def test_functions_keep_to_the_size_of_the_house():
    lengths = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body:
                    lengths.append(body[-1].end_lineno - body[0].lineno + 1)
    lengths.sort()
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[len(lengths) * 9 // 10] <= 40


GENERATED = SOURCE / "client" / "operations.py"
LONGEST_FILE = 450
"""400 lines are aimed at; a file that grows beyond this has two things to say."""


def test_files_keep_to_the_size_of_the_house():
    lines = {path: len(path.read_text().splitlines()) for path in MODULES if path != GENERATED}
    assert not {path: count for path, count in lines.items() if count > LONGEST_FILE}


def test_nothing_committed_carries_a_path_of_this_machine():
    roots = [
        path for path in ROOT.iterdir() if path.name in {"src", "docs", "examples", "tests", ".ci"}
    ]
    files = [
        one
        for root in roots
        for one in root.rglob("*")
        if one.suffix in {".py", ".md", ".yaml", ".sh"}
    ]
    text = re.compile(r"/(work|root)/(main|shared|\.library|\.pyenv)")
    assert not [
        path
        for path in files
        if path != Path(__file__) and text.search(path.read_text(errors="replace"))
    ]
