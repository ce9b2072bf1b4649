"""Alerts of other tools through a real control plane: told once, through a kill; held, and let go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from driver import Installation, Person, installation
from traffic import until

from andon.client.wire import Client, Server
from andon.kernel.errors import UsageError
from andon.testing.webhook import WebhookReceiver

DOWN = {"alertname": "Down", "severity": "critical", "service": "db", "environment": "prod"}


@pytest.fixture(scope="module")
def listener() -> Iterator[WebhookReceiver]:
    listener = WebhookReceiver()
    listener.start()
    yield listener
    listener.kill()


@pytest.fixture(scope="module")
def andon(
    tmp_path_factory: pytest.TempPathFactory, listener: WebhookReceiver
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("alerts")
    alerts = {
        "receivers": [{"name": "sre", "webhook": {"url": listener.url}}],
        "routes": [{"receivers": ["sre"], "waitSeconds": 0, "intervalSeconds": 0}],
        "holds": [{"match": ['severity="page"']}],
        "intervalSeconds": 1,
    }
    document = {
        "apiVersion": "andon/v1",
        "kind": "Installation",
        "metadata": {"name": "test"},
        "spec": {"telemetry": {"alerts": alerts}},
    }
    (folder / "installation.yaml").write_text(yaml.safe_dump(document))
    options = ("--config", str(folder / "installation.yaml"), "--lease", "2s")
    with installation(folder / "state", *options) as one:
        yield one


@pytest.fixture(scope="module")
def ann(andon: Installation) -> Person:
    """A person who knows the address since the last start."""
    return andon.as_person("ann", "operator")


def token(andon: Installation, name: str) -> str:
    made = andon.client.post(
        "/tokens", {"name": name, "grants": [{"role": "reporter"}], "expiresSeconds": 3600}
    )
    return str(made["secret"])


def url(andon: Installation) -> str:
    return str(json.loads((andon.state / "control.json").read_text())["url"])


def tell(andon: Installation, secret: str, status: str) -> Any:
    tool = Client(Server(url(andon), secret), timeout_seconds=60)
    document = {"version": "4", "alerts": [{"status": status, "labels": DOWN}]}
    return tool.post("/alerts/alertmanager", document)


def heard(listener: WebhookReceiver) -> list[str]:
    """Return what was told, each message once: one may still be on its way at a kill."""
    told = dict.fromkeys(one.body for one in listener.requests)
    return [json.loads(body)["status"] for body in told]


def held(andon: Installation) -> list[str]:
    return [one["source"] for one in andon.client.get("/holds")]


def test_alert_is_told_once_through_a_kill_and_holds_until_it_is_over(
    andon: Installation, listener: WebhookReceiver
) -> None:
    secret = token(andon, "prometheus")
    listener.status = lambda request: 503
    (alert,) = tell(andon, secret, "firing")["taken"]
    assert len(held(andon)) == 1
    until(lambda: listener.requests, "the receiver was asked and would not")
    andon.kill()
    listener.requests.clear()
    listener.status = lambda request: 204
    andon.start()
    until(lambda: listener.requests, "the receiver is told after the kill")
    tell(andon, secret, "firing")
    shown = json.loads(andon.andon("alerts", "show", alert, "--json").text)
    assert (shown["state"], shown["told"], list(shown["notified"])) == ("firing", 2, ["sre"])
    taken = andon.andon("alerts", "ack", alert, "-m", "looking")
    assert taken.code == 0, taken.text
    tell(andon, secret, "resolved")
    until(lambda: "resolved" in heard(listener), "the end is told, too")
    assert heard(listener) == ["firing", "resolved"]
    assert held(andon) == []


def test_client_of_pagerduty_needs_only_its_routing_key(andon: Installation) -> None:
    secret = token(andon, "pager")
    nobody = Client(Server(url(andon), ""), timeout_seconds=60)
    payload = {"summary": "disk full", "source": "db1", "severity": "warning"}
    event = {"event_action": "trigger", "dedup_key": "disk", "payload": payload}
    said = nobody.post("/alerts/pagerduty/v2/enqueue", {"routing_key": secret, **event})
    assert said["dedup_key"] == "disk"
    nul = {"routing_key": secret, **event, "payload": {**payload, "summary": "a\0b"}}
    with pytest.raises(UsageError, match="NUL"):
        nobody.post("/alerts/pagerduty/v2/enqueue", nul)
    listed = andon.andon("alerts", "list")
    assert "disk full" in listed.text, listed.text
    over = {"routing_key": secret, "event_action": "resolve", "dedup_key": "disk"}
    nobody.post("/alerts/pagerduty/v2/enqueue", over)
    assert "nothing fires" in andon.andon("alerts", "list").text


def test_silence_has_an_end_and_a_person(andon: Installation, ann: Person) -> None:
    endless = ann.andon("alerts", "silence", 'service="db"', "-m", "works")
    assert endless.code == 2, endless.text
    made = ann.andon("alerts", "silence", 'service="db"', "--for", "1h", "-m", "works", "--json")
    assert made.code == 0, made.text
    silence = json.loads(made.text)
    assert silence["by"] == "person:ann"
    assert silence["name"] in andon.andon("alerts", "silences").text
    assert ann.andon("alerts", "unsilence", silence["name"]).code == 0
    assert "nothing is silenced" in andon.andon("alerts", "silences").text


def test_budget_commands_say_what_there_is(andon: Installation, ann: Person) -> None:
    assert "no BudgetPolicy is in force" in andon.andon("budget", "list").text
    missing = andon.andon("budget", "override", "all", "--for", "2h", "-m", "r")
    assert missing.code == 4, missing.text
    assert "there is no BudgetPolicy all" in missing.text
    refused = ann.andon("budget", "override", "all", "--for", "2h", "-m", "r")
    assert refused.code == 6, refused.text
