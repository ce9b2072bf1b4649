"""Promises of a real service, from what its gateway counts; a gate that asks for them."""

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

FRAGILE = SERVER.replace(
    "self.send_response(200)", "self.send_response(500 if self.path == '/bad' else 200)"
)
OPENSLO = {
    "apiVersion": "openslo/v1",
    "kind": "SLO",
    "metadata": {"name": "hello-answers"},
    "spec": {
        "service": "hello",
        "indicator": {
            "metadata": {"name": "answers"},
            "spec": {
                "ratioMetric": {
                    "counter": True,
                    "bad": {
                        "metricSource": {
                            "type": "Prometheus",
                            "spec": {"query": 'andon_gateway_requests_total{class="5xx"}'},
                        }
                    },
                    "total": {
                        "metricSource": {
                            "type": "Prometheus",
                            "spec": {"query": "sum(rate(andon_gateway_requests_total[5m]))"},
                        }
                    },
                }
            },
        },
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"displayName": "most", "target": 0.9}],
    },
}


class Promising(Shape):
    """The project's documents, and one of OpenSLO."""

    def text(self) -> str:
        return f"{super().text()}\n---\n{json.dumps(OPENSLO)}"


@pytest.fixture
def andon(tmp_path: Path) -> Iterator[Installation]:
    document = {
        "apiVersion": "andon/v1",
        "kind": "Installation",
        "metadata": {"name": "test"},
        "spec": {
            "telemetry": {"metrics": {"intervalSeconds": 1}, "alerts": {"intervalSeconds": 1}}
        },
    }
    (tmp_path / "installation.yaml").write_text(yaml.safe_dump(document))
    with installation(tmp_path / "state", "--config", str(tmp_path / "installation.yaml")) as one:
        yield one


def promised(andon: Installation) -> dict[str, Any]:
    """Return how the promise in OpenSLO's words stands."""
    said = andon.andon("slo", "list", "--service", "hello", "--json")
    rows = {one["objective"]: one for one in json.loads(said.text)["objectives"]}
    return rows.get("hello-answers", {"state": "", "total": 0})


def odd_endpoints(andon: Installation) -> list[dict[str, Any]]:
    """Return what is told of endpoints that only attackers ask for."""
    listed = json.loads(andon.andon("alerts", "list", "--json").text)["alerts"]
    names = [one["name"] for one in listed if one["source"] == "security"]
    return [json.loads(andon.andon("alerts", "show", name, "--json").text) for name in names]


def visit(andon: Installation, path: str, times: int) -> None:
    address = web_address(f"{andon.service()['address']}{path}")
    for _ in range(times):
        exchange("GET", address, b"", {}, guard=LOCAL, timeout_seconds=60, most_bytes=999)


def test_a_gate_on_a_promise_opens_while_it_is_kept(andon: Installation, tmp_path: Path) -> None:
    rules = {"prod": {"requires": ["unit", "objective"], "rollout": ROLLING}}
    project = Project(tmp_path / "hello", Promising(environments=rules))
    project.commit("one", files={"app/server.py": FRAGILE})
    assert andon.ship(project).code == 0  # A first version has nothing to keep.
    until(lambda: promised(andon)["state"] == "unknown", "it is told that nothing is known")
    visit(andon, "/", 40)
    visit(andon, "/bad", 1)
    until(lambda: promised(andon)["total"] == 41, "all requests are counted")
    assert (promised(andon)["state"], promised(andon)["bad"]) == ("met", 1)
    shown = andon.andon("slo", "show", "hello-answers")
    assert shown.code == 0
    assert "no alert   page-1h: it could never fire" in shown.text
    visit(andon, "/.env?token=s3cret", 1)  # Of a service that logs nothing.
    project.commit("two")
    assert andon.ship(project).code == 0
    visit(andon, "/bad", 30)
    until(lambda: promised(andon)["state"] == "missed", "the budget is seen to be spent")
    assert andon.andon("slo", "show", "hello-answers").code == 8
    project.commit("three")
    change = andon.begin(project)
    assert "objective says Fail" in andon.said(change, "of the budget is spent")
    exported = andon.andon("slo", "export", "hello-answers")
    assert "kind: SLO" in exported.text
    (odd,) = until(lambda: odd_endpoints(andon), "it is seen at the gateway")
    assert odd["labels"]["alertname"] == "andon-suspicious-endpoint-answered"
    assert odd["details"] == "1 times; such as: status 200: /.env"
