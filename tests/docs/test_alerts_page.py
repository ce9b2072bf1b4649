"""What the page about alerts shows is accepted, and its commands are ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from andon.api.alerts_check import check_pages
from andon.api.burnrates import TIERS, length
from andon.api.objectives_check import check_objective
from andon.api.parse import read_documents
from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.objectives import ObjectiveSpec
from andon.app.configuration import load_installation
from andon.cli.root import andon
from andon.domains.reliability.routing import check_settings
from andon.web.api import OPERATIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs/alerts.md").read_text()
COMMANDS = re.findall(r"^(andon .*)$", PAGE, re.MULTILINE)

BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_an_objective_with_an_alert_of_its_own_is_accepted() -> None:
    (document,) = read_documents(BLOCKS[0].encode(), "andon.yaml").definitions
    assert isinstance(document.spec, ObjectiveSpec)
    assert not [*check_objective(document.spec), *check_pages(document.spec)]


def test_settings_are_accepted(tmp_path: Path) -> None:
    _, text = BLOCKS
    (tmp_path / "andon.yaml").write_text(text)
    told = load_installation(tmp_path / "andon.yaml").telemetry.alerts
    check_settings(told)
    assert len(told.receivers) == len(told.routes) == 2


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


def test_table_of_alerts_is_what_is_derived() -> None:
    for tier, severity in TIERS:
        spent = f"{100 * tier.budget_ratio:.0f} %"
        windows = [
            re.sub(r"(\d+)", r"\1 ", length(one)) for one in (tier.long_seconds, tier.short_seconds)
        ]
        assert f"| {severity} | {spent} | {windows[0]} | {windows[1]} |" in PAGE


def test_table_of_states_is_what_holds_by_default() -> None:
    policy = BudgetPolicySpec()
    for name in ("caution", "frozen", "exhausted"):
        stage = getattr(policy, name)
        deeds = (stage.deploy, stage.raise_weight, stage.ramp_flag, stage.start_experiment)
        (row,) = re.findall(rf"^\| {name} \|.*$", PAGE, re.MULTILINE)
        assert row.endswith(f"| {' | '.join(deeds)} |")


def test_other_tools_find_what_the_page_names() -> None:
    paths = {one.path for one in OPERATIONS}
    assert {"/alerts/alertmanager", "/alerts/pagerduty/v2/enqueue"} <= paths
