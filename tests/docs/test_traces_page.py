"""What the page about traces shows is accepted, and its commands are ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from andon.api.v1.telemetry import TelemetrySpec
from andon.app.configuration import load_installation
from andon.cli.root import andon
from andon.web.api import OPERATIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs/traces.md").read_text()
COMMANDS = re.findall(r"^(andon .*)$", PAGE, re.MULTILINE)


def test_every_document_is_accepted(tmp_path: Path) -> None:
    found = []
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / "andon.yaml").write_text(text)
        found.append(load_installation(tmp_path / "andon.yaml").telemetry)
    traces, beacon = found
    assert traces == TelemetrySpec(), "the page shows the defaults"
    assert beacon.beacon.origins == ("https://shop.example.com",)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_can_be_read(line: str) -> None:
    words = shlex.split(line)[1:]
    context = click.Context(andon, info_name="andon")
    command: click.Command = andon
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    assert command.make_context(command.name, words)


def test_exporters_find_what_the_page_names() -> None:
    assert "http://127.0.0.1:7411/api/v1/otlp" in PAGE
    assert {"/otlp/v1/traces", "/otlp/v1/metrics", "/otlp/v1/logs"} <= {
        one.path for one in OPERATIONS
    }
