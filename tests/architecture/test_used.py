"""Nothing of the published language stands unused: what no real process goes through is no promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from andon.api.v1 import actions
from andon.api.v1.definitions import DEFINITIONS, RULE_KINDS
from andon.api.v1.kinds import RECORDS
from andon.kernel.errors import ERRORS

ROOT = Path(__file__).parents[2]
NOT_YET = {
    1: "InternalError is a bug, which no test can order",
}


def text_of(*folders: str) -> str:
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(path.read_text() for path in files if path != Path(__file__))


REAL_PROCESSES = text_of("tests/e2e", "tests/integration", "tests/docs", "src/andon/cli/demo")
DOMAINS = text_of("src/andon/domains")


@pytest.mark.parametrize("action", [kind.__name__ for kind in actions.Action.__subclasses__()])
def test_every_action_is_asked_for_by_a_controller(action: str):
    assert re.search(rf"\b{action}\(", DOMAINS)


@pytest.mark.parametrize("kind", sorted(DEFINITIONS))
def test_every_kind_is_in_a_project_that_a_test_ships(kind: str):
    documents = (ROOT / "examples/shop/andon.yaml").read_text()
    assert f"kind: {kind}\n" in documents


@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_every_record_is_written_by_somebody(kind: str):
    writers = DOMAINS + text_of("src/andon/app")
    assert f'kind="{kind}"' in writers or kind in RULE_KINDS


def test_rules_are_taken_into_the_store():
    assert "kind=definition.kind" in text_of("src/andon/app/telemetry")


@pytest.mark.parametrize("code", sorted({error.exit_code for error in ERRORS} - set(NOT_YET)))
def test_every_exit_code_is_seen_from_a_real_process(code: int):
    assert re.search(rf"code (?:==|!=) {code}\b|code in \{{[^}}]*\b{code}\b", REAL_PROCESSES)
