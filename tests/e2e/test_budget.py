"""A bad version that nobody judges burns the budget of real users: the line holds, and fixes pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from driver import Installation, installation
from project import ROLLING, SERVER, Project, Shape
from traffic import until

from andon.adapters.outbound import LOCAL, exchange, web_address

BROKEN = SERVER.replace(
    "self.send_response(200)",
    "self.send_response(500 if TEXT == 'two' and self.path == '/buy' else 200)",
)
POLICY = {
    "apiVersion": "andon/v1",
    "kind": "BudgetPolicy",
    "metadata": {"name": "careful"},
    "spec": {"services": ["hello"], "unknown": "allow"},
}


class Policed(Shape):
    """The project's documents, and a BudgetPolicy."""

    def text(self) -> str:
        return f"{super().text()}\n---\n{json.dumps(POLICY)}"


@pytest.fixture
def andon(tmp_path: Path) -> Iterator[Installation]:
    telemetry = {"metrics": {"intervalSeconds": 1}, "alerts": {"intervalSeconds": 1}}
    document = {
        "apiVersion": "andon/v1",
        "kind": "Installation",
        "metadata": {"name": "test"},
        "spec": {"telemetry": telemetry},
    }
    (tmp_path / "installation.yaml").write_text(yaml.safe_dump(document))
    with installation(tmp_path / "state", "--config", str(tmp_path / "installation.yaml")) as one:
        yield one


def budget(andon: Installation) -> dict[str, Any]:
    rows = andon.client.get("/budgets")
    return rows[0] if rows else {"state": "none"}


def buy(andon: Installation, times: int) -> int:
    """Send requests that a bad version fails; how many it failed."""
    address = f"{andon.service()['address']}/buy"
    told = (
        exchange(
            "GET", web_address(address), b"", {}, guard=LOCAL, timeout_seconds=60, most_bytes=999
        )
        for _ in range(times)
    )
    return sum(one.status == 500 for one in told)


def test_burnt_budget_holds_deploys_until_a_person_sets_it_aside(
    andon: Installation, tmp_path: Path
) -> None:
    rules = {"prod": {"requires": ["unit"], "rollout": ROLLING}}
    project = Project(tmp_path / "hello", Policed(environments=rules))
    project.commit("one", files={"app/server.py": BROKEN})
    assert andon.ship(project).code == 0
    project.commit("two")
    assert andon.ship(project).code == 0
    until(lambda: buy(andon, 20), "the bad version fails its users")
    until(lambda: budget(andon)["state"] == "exhausted", "the budget is seen to be spent")
    (hold,) = andon.client.get("/holds")
    assert hold["source"] == "budget:careful"
    assert hold["effects"]["deploy"] == "deny"
    project.commit("three")
    held = andon.ship(project)
    assert held.code == 10, held.text
    assert "held by budget:careful: exhausted:" in held.text
    assert "andon budget override careful" in held.text
    back = andon.andon("rollback", "prod", "hello", "-m", "users cannot buy")
    assert back.code == 0, back.text
    andon.settled("one")
    said = andon.andon("budget", "override", "careful", "--for", "1h", "-m", "three mends it")
    assert said.code == 0, said.text
    andon.settled("three")
    assert "set aside" in andon.andon("budget", "list").text
