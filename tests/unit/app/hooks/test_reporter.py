"""How commits fare, as forges are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from line_site import LineSite

from andon.kernel.errors import Denied, Unavailable
from andon.ports.sinks import Gone, NotTaken
from andon.testing.scenario import sha_of
from andon.testing.webhook import WebhookReceiver

APPROVAL = {"find": "requires: [unit, acceptance]", "put": "requires: [unit, approval]"}


def told(receiver: WebhookReceiver) -> list[tuple[str, dict[str, Any]]]:
    """Return (commit, status) of every report."""
    return [(one.path.rsplit("/", 1)[1], json.loads(one.body)) for one in receiver.requests]


def states(receiver: WebhookReceiver) -> list[str]:
    return [status["state"] for _, status in told(receiver)]


def test_success_is_reported_once_with_a_link(line: LineSite, receiver: WebhookReceiver):
    line.play({"ship": "v1"}, {"wait": "until change v1 is over"})
    line.tell(line.reporter())
    ((sha, status),) = told(receiver)
    assert sha == sha_of("v1")
    assert status == {
        "context": "andon",
        "state": "success",
        "description": "runs in dev, prod",
        "target_url": f"https://andon.example/#/changes/{line.change('v1')}",
    }
    request = receiver.requests[0]
    assert request.path.startswith("/repos/team/shop/statuses/")
    assert request.headers["authorization"] == "Bearer t0ken"


def test_states_follow_the_change(line: LineSite, receiver: WebhookReceiver):
    sink = line.reporter()
    line.play({"ship": "v1", "edit": [APPROVAL]})
    line.play({"wait": "until run build-v1 at unit"})
    line.tell(sink)
    line.play({"wait": "until run rollout-prod-web-v1 is EvidenceMissing"}, {"wait": 60})
    line.tell(sink)
    _, status = told(receiver)[-1]
    assert status["state"] == "pending"
    assert "approval" in status["description"]
    line.play({"approve": "v1", "in": "prod"}, {"wait": "until change v1 is over"})
    line.tell(sink)
    assert set(states(receiver)[:-1]) == {"pending"}
    assert states(receiver)[-1] == "success"
    lines = [(status["state"], status["description"]) for _, status in told(receiver)]
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"kind": "job", "name": "unit"}, "failure"),
        ({"kind": "job", "name": "unit", "machine": True}, "error"),
    ],
)
def test_whose_fault_it_is_is_told(
    line: LineSite, receiver: WebhookReceiver, fault: dict[str, Any], state: str
):
    line.play({"faults": [fault]}, {"ship": "v1"}, {"wait": "until change v1 is over"})
    line.tell(line.reporter())
    _, status = told(receiver)[-1]
    assert status["state"] == state
    assert "unit" in status["description"]


def test_hold_is_told_for_what_is_under_way(line: LineSite, receiver: WebhookReceiver):
    sink = line.reporter()
    line.play({"hold": {"environment": "prod"}, "reason": "audit week"}, {"ship": "v1"})
    line.play({"wait": "until run rollout-prod-web-v1 is Held"})
    line.play({"wait": 5})
    line.rows()
    line.play({"hold": {"service": "web"}, "reason": "closed for today"})
    line.tell(sink)
    _, status = told(receiver)[-1]
    assert (status["state"], status["description"]) == (
        "pending",
        "held by person:ada: closed for today",
    )


def test_the_newest_change_of_a_commit_speaks_for_it(line: LineSite, receiver: WebhookReceiver):
    line.play(
        {"faults": [{"kind": "job", "name": "unit", "times": 1}]},
        {"ship": "v1"},
        {"wait": "until change v1 is over"},
        {"faults": []},
        {"ship": "v1"},
        {"wait": "until change v1-again is over"},
    )
    line.tell(line.reporter())
    assert states(receiver) == ["success"]


def test_other_repositories_are_nothing_to_this_forge(line: LineSite, receiver: WebhookReceiver):
    def move(tx: Any) -> None:
        from msgspec.structs import replace

        hook = tx.require("Hook", "shop")
        tx.put_spec(hook, replace(hook.spec, repository="/elsewhere"))

    line.play({"ship": "v1"}, {"wait": "until change v1 is over"})
    line.line.tx(move)
    line.tell(line.reporter())
    assert not receiver.requests


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Denied), (404, Denied), (422, Denied), (403, NotTaken), (429, Unavailable), (502, NotTaken)],
)  # fmt: skip
def test_refusals_of_the_forge(
    line: LineSite, receiver: WebhookReceiver, status: int, error: type[Exception]
):
    receiver.status = lambda request: status
    line.play({"ship": "v1"})
    sink, (row, *_) = line.reporter(), line.rows()
    refused = line.refusal(sink, row)
    assert isinstance(refused, error)
    assert str(status) in refused.message
    assert "t0ken" not in str(refused)
    receiver.status = lambda request: 201
    line.deliver(sink, row)
    assert states(receiver)[-1] == "pending"


def test_forge_that_is_down_is_told_later(line: LineSite, receiver: WebhookReceiver):
    line.play({"ship": "v1"})
    sink, (row, *_) = line.reporter(), line.rows()
    receiver.kill()
    assert line.refusal(sink, row).retry


def test_nobody_is_told_for_a_hook_that_is_gone(line: LineSite):
    line.play({"ship": "v1"})
    line.line.tx(lambda tx: tx.forget(tx.require("Hook", "shop")))
    assert isinstance(line.refusal(line.reporter(), line.rows()[0]), Gone)
