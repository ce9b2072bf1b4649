"""The page about PromQL lists what the code answers, and what it shows is accepted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from andon.app.configuration import load_installation
from andon.cli.root import andon
from andon.domains.observability.promql.answers import USUAL
from andon.domains.observability.promql.engine import MOST_STEPS
from andon.domains.observability.promql.reading import DEEPEST, MOST_OPERATORS, read
from andon.domains.observability.promql.supported import AGGREGATIONS, FUNCTIONS, OPERATORS
from andon.web.api.prometheus import OPERATIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs/promql.md").read_text()
SUPPORTED = PAGE.partition("<!-- begin: supported -->")[2].partition("<!-- end: supported -->")[0]
MODIFIERS = {"bool", "on", "ignoring", "group_left", "group_right", "by", "without", "le"}
COMMANDS = re.findall(r"^(andon .*)$", PAGE, re.MULTILINE)


def test_the_list_is_that_of_the_code() -> None:
    listed = set(re.findall(r"`([^`]+)`", SUPPORTED)) - MODIFIERS
    assert listed == {*FUNCTIONS, *AGGREGATIONS, *OPERATORS}


def test_limits_are_those_of_the_code() -> None:
    said = " ".join(PAGE.partition("## Limits")[2].partition("##")[0].split())
    for limit in (f"{MOST_STEPS:,} steps", f"{MOST_OPERATORS} operators", f"{DEEPEST} levels"):
        assert limit in said
    assert f"{USUAL.samples // 1_000_000} million samples at once" in said
    assert f"{USUAL.work // 1_000_000} million altogether" in said


def test_every_route_is_named() -> None:
    for path in {one.path.replace("{name}", "NAME") for one in OPERATIONS}:
        assert f"`{path}`" in PAGE or f"/api/v1{path}" in PAGE, path


def test_every_document_is_accepted(tmp_path: Path) -> None:
    rules, remote = (
        load_installation(_written(tmp_path, text)).telemetry.metrics
        for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    )
    assert read(rules.rules[0].expr)
    assert remote.prometheus == "https://prometheus.example.com"


def _written(folder: Path, text: str) -> Path:
    path = folder / "andon.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_can_be_read(line: str) -> None:
    words = shlex.split(line)[1:]
    context = click.Context(andon, info_name="andon")
    command: click.Command = andon
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    made = command.make_context(command.name, words)
    assert read(made.params["expression"])
