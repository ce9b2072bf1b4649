"""What the page about logs shows is accepted, and says what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from andon.adapters.telemetry.sigma import read_rules
from andon.api.configuration import read_installation
from andon.cli.root import andon

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/logs.md").read_text()
DOCUMENTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ (andon .*)$", PAGE, re.MULTILINE)


def test_every_option_is_one() -> None:
    assert len(COMMANDS) >= 6
    for line in COMMANDS:
        _, *words = shlex.split(line)
        told = CliRunner().invoke(andon, [*words[:2], "--help"]).output
        for option in [one for one in words if one.startswith("--")]:
            assert option in told, line


def test_installations_are_accepted() -> None:
    for text in DOCUMENTS[:2]:
        (definition,) = read_installation(text.encode(), "docs/logs.md").definitions
        logs = definition.spec.telemetry.logs
        assert (logs.keep_days, logs.sigma) in ((30, ""), (14, "/etc/andon/sigma"))


def test_the_rule_matches(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text(DOCUMENTS[2])
    (rule,) = read_rules(tmp_path).rules
    assert rule.matches({"c-uri": "/?q=/bin/sh"}, "", "shop")
