"""Every command of the pages people read first is run, or at least understood."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click import Command, Context, Group

from andon.cli.root import andon as program

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/operating.md",
    "docs/operations.md",
    "docs/judge.md",
    "docs/secrets.md",
    "examples/shop/README.md",
]
README = (ROOT / "README.md").read_text()
APP = """\
import os
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

if __name__ == "__main__":
    address = ("127.0.0.1", int(os.environ["PORT"]))
    ThreadingHTTPServer(address, SimpleHTTPRequestHandler).serve_forever()
"""


def blocks(page: str) -> list[list[str]]:
    """Return the commands of each shell block, comments cut off."""
    found = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [[line.partition("  #")[0].strip() for line in block.splitlines()] for block in found]
    return [[line for line in block if line] for block in lines]


def mentioned(page: str) -> set[str]:
    """Return every `andon …` that a page tells people to type."""
    inline = re.findall(r"`(andon [^`\n]+)`", page)
    return {
        *inline,
        *(
            line.removesuffix(" &")
            for block in blocks(page)
            for line in block
            if line[:6] == "andon "
        ),
    }


MENTIONED = sorted(
    (name, words) for name in PAGES for words in mentioned((ROOT / name).read_text())
)


@pytest.mark.parametrize(("page", "words"), MENTIONED, ids=str)
def test_mentioned_command_exists_and_takes_these_arguments(page, words):
    arguments = [word for word in shlex.split(words)[1:] if word not in {"-h", "--help"}]
    command: Command = program
    context = Context(program, info_name="andon")
    while arguments and isinstance(command, Group):
        default = getattr(command, "default", "")
        if default and command.get_command(context, arguments[0]) is None:
            arguments.insert(0, default)
        for name in arguments.pop(0).split("|"):  # `andon runs list|show`
            found = command.get_command(context, name)
            assert found is not None, f"{page}: there is no `{name}`"
        command, context = found, Context(found, parent=context, info_name=name)
    if arguments:
        parent, words_left = context.parent, list(arguments)
        with command.make_context(context.info_name, words_left, parent=parent) as parsed:
            assert parsed.args == [], f"{page}: `{words}` has words too many"


def test_figures_shown_are_those_the_demo_prints():
    figures = re.findall(r"^  ([a-z][a-zA-Z ]+?)  +\S.*$", README, re.MULTILINE)
    printed = (ROOT / "src/andon/cli/demo/screen.py").read_text()
    assert len(figures) >= 6
    assert [label for label in figures if f'("{label}", ' not in printed] == []


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/dependencies.md", *PAGES[2:]]
)
def test_links_lead_somewhere(page):
    here = (ROOT / page).parent
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert [link for link in links if not (here / link).exists()] == []


@pytest.mark.parametrize(
    ("command", "calls"), [("make demo", "andon demo"), ("make test", "nox -s lint test sabotage")]
)
def test_make_target_calls_what_it_should(command, calls):
    assert [command] in blocks(README)
    done = subprocess.run(
        [*command.split(), "-n", "--no-print-directory"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1].strip() == calls


def test_a_new_user_gets_to_production_with_the_readme_alone(days):
    here, there = (block for block in blocks(README) if any("andon" in line for line in block))
    assert here[-1] == "andon up"
    day = days("mine").write({"app.py": APP, "test_app.py": "import unittest\n"})
    day.commit("feat: serve")
    for line in here[:-1]:
        day.run(*shlex.split(line))
    day.up("--port", "0")
    for line in there:
        said = day.run(*shlex.split(line)).stdout
        if line == "andon status":
            assert len(re.findall(r"mine .* 100 % +1/1 +Succeeded +http://127", said)) == 2
        if line == "andon why prod":
            assert "prod: open" in said
    assert there[-1] == "andon down"
    assert "nothing is running" in day.andon("down").stdout
