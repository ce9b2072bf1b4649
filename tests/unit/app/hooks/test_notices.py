"""Who is told of what, where, and how often."""

from __future__ import annotations

import json
from typing import Any

import pytest
from line_site import LineSite

from andon.api.v1.access import Grant
from andon.app.hooks.notices import MOST_FAILURES, NAME, TOLD, ensure_notices
from andon.app.hooks.places import Places
from andon.kernel.errors import Denied
from andon.ports.sinks import NotTaken
from andon.ports.store import LedgerRow
from andon.testing.mailbox import Mailbox
from andon.testing.webhook import WebhookReceiver

ADA = ("ada@example.com",)
APPROVER = (Grant(role="approver"),)
APPROVAL = {"find": "requires: [unit, acceptance]", "put": "requires: [unit, approval]"}
BUILD_FAILS: dict[str, Any] = {"faults": [{"kind": "job", "name": "unit"}]}


def texts(receiver: WebhookReceiver) -> list[str]:
    return [json.loads(one.body)["text"] for one in receiver.requests]


def over(line: LineSite, label: str = "v1", **more: Any) -> None:
    line.play({"ship": label, **more}, {"wait": f"until change {label} is over"})


def waiting(line: LineSite) -> None:
    line.play({"ship": "v1", "edit": [APPROVAL]})
    line.play({"wait": "until run rollout-prod-web-v1 is EvidenceMissing"}, {"wait": 60})


def the_row(line: LineSite, part: str) -> LedgerRow:
    (found,) = [row for row in line.rows() if part in row.type]
    return found


def test_author_is_told_that_their_change_shipped(line: LineSite, receiver: WebhookReceiver):
    line.user("ann", emails=ADA, notify=(receiver.url,))
    line.user("eve", emails=("eve@example.com",), notify=(receiver.url + "/eve",))
    over(line)
    line.tell(line.notices())
    (text,) = texts(receiver)
    first, second, link = text.split("\n")
    assert first.startswith("shipped: v1 (")
    assert second == "It runs in dev, prod."
    assert link == f"https://andon.example/#/changes/{line.change('v1')}"


def test_author_is_told_what_stopped_their_change(line: LineSite, receiver: WebhookReceiver):
    line.user("ann", emails=ADA, notify=(receiver.url,))
    line.play(BUILD_FAILS)
    over(line)
    line.tell(line.notices())
    (text,) = texts(receiver)
    assert text.startswith("stopped: v1 (")
    assert "unit" in text
    assert f"andon why {line.change('v1')}" in text


def test_who_put_it_on_the_line_is_told_too(line: LineSite, receiver: WebhookReceiver):
    line.user("ada", notify=(receiver.url,))
    over(line)
    line.tell(line.notices())
    assert len(texts(receiver)) == 1


def test_what_was_only_built_is_no_news_unless_it_failed(line: LineSite, receiver: WebhookReceiver):
    line.user("ann", emails=ADA, notify=(receiver.url,))
    over(line, until="@build")
    line.play(BUILD_FAILS)
    over(line, "v2", until="@build")
    line.tell(line.notices())
    (text,) = texts(receiver)
    assert text.startswith("stopped: v2")


def test_author_is_told_that_a_person_holds_their_change(line: LineSite, receiver: WebhookReceiver):
    line.user("ann", emails=ADA, notify=(receiver.url,))
    line.play({"ship": "v1"}, {"wait": "until run build-v1 is Running"})
    line.play({"hold": {"change": line.change("v1")}, "reason": "not on a friday"})
    line.play({"hold": {"environment": "prod", "service": "other"}, "reason": "nothing to them"})
    line.tell(line.notices())
    (text,) = texts(receiver)
    assert text.startswith("held: v1")
    assert "person:ada holds change" in text
    assert "not on a friday" in text


def test_everybody_who_may_approve_is_asked_but_the_author(
    line: LineSite, receiver: WebhookReceiver
):
    line.user("ann", emails=ADA, grants=APPROVER, notify=(f"{receiver.url}/ann",))
    line.user("bob", emails=("bob@example.com",), grants=APPROVER, notify=(f"{receiver.url}/bob",))
    line.user("cat", emails=("cat@example.com",), notify=(f"{receiver.url}/cat",))
    line.team("sre", members=("cat",), grants=(Grant(role="approver", environment="prod"),))
    line.user("dan", emails=("dan@example.com",), notify=(f"{receiver.url}/dan",))
    line.user("eve", grants=APPROVER, emails=("e@x.org",), notify=(receiver.url,), disabled=True)
    waiting(line)
    line.tell(line.notices())
    assert sorted(one.path for one in receiver.requests) == ["/events/bob", "/events/cat"]
    assert "waits for your approval in prod" in texts(receiver)[0]
    assert f"andon approve {line.change('v1')} --environment prod -m REASON" in texts(receiver)[0]


def test_mail_goes_to_the_first_address_of_who_named_no_other(line: LineSite, mailbox: Mailbox):
    line.user("ann", emails=(*ADA, "ann@home.example"))
    line.user("bob", emails=ADA, notify=("mailto:bob@example.com",))
    over(line)
    line.tell(line.notices())
    told = sorted(letter.recipients for letter in mailbox.letters)
    assert told == [("ada@example.com",), ("bob@example.com",)]
    assert mailbox.letters[0].message["Subject"].startswith("shipped: v1")


def test_one_address_is_told_once_of_an_event(line: LineSite, receiver: WebhookReceiver):
    line.user("ann", emails=ADA, notify=(receiver.url,))
    line.user("ada", notify=(receiver.url,))
    over(line)
    line.tell(line.notices())
    assert len(receiver.requests) == 1


def test_who_was_told_is_not_told_again_when_others_could_not_be(
    line: LineSite, receiver: WebhookReceiver
):
    for name in ("a", "b", "c"):
        line.user(name, emails=ADA, notify=(f"{receiver.url}/{name}",))
    over(line)
    row = the_row(line, "andon-change.finished")
    receiver.status = lambda request: 500 if request.path.endswith("/b") else 200
    assert isinstance(line.refusal(line.notices(), row), NotTaken)
    receiver.status = lambda request: 200
    line.deliver(line.notices(), row)
    paths = [one.path[-1] for one in receiver.requests]
    assert sorted(paths) == ["a", "b", "b", "c"]
    assert line.line.look(lambda tx: tx.settings(TOLD)) == {}


def test_an_address_that_always_fails_delays_nobody_for_long(
    line: LineSite, receiver: WebhookReceiver
):
    line.user("ann", emails=ADA, notify=(receiver.url,))
    over(line)
    row = the_row(line, "andon-change.finished")
    receiver.status = lambda request: 500
    sink = line.notices()
    refusals = [type(line.refusal(sink, row)) for _ in range(MOST_FAILURES + 1)]
    assert refusals == [*[NotTaken] * (MOST_FAILURES - 1), Denied, Denied]
    receiver.status = lambda request: 200
    line.deliver(sink, row)


def test_people_whose_address_cannot_be_opened_delay_nobody_for_long(
    line: LineSite, receiver: WebhookReceiver
):
    for name in ("ann", "bob"):
        notify, sealed = line.line.tx(
            lambda tx, name=name: Places(line.vault).keep(tx, name, (f"{receiver.url}/{name}",))
        )
        line.user(name, emails=ADA, notify=notify, notify_sealed=sealed)
    forgotten = line.line.look(lambda tx: line.vault.sealed(tx, "notify/ann"))
    line.line.tx(lambda tx: line.vault.forget(tx, "notify/ann"))
    over(line)
    row = the_row(line, "andon-change.finished")
    sink = line.notices()
    refusals = [line.refusal(sink, row) for _ in range(MOST_FAILURES)]
    assert [type(one) for one in refusals] == [*[NotTaken] * (MOST_FAILURES - 1), Denied]
    assert "where ann is told was forgotten" in refusals[0].message
    assert [one.path for one in receiver.requests] == ["/events/bob"]
    line.line.tx(lambda tx: tx.put_setting("sealed:vault/notify/ann", forgotten))
    line.deliver(sink, row)
    assert [one.path for one in receiver.requests] == ["/events/bob", "/events/ann"]


def test_mail_without_a_server_is_a_dead_letter_that_says_so(
    line: LineSite, receiver: WebhookReceiver, tmp_path_factory: pytest.TempPathFactory
):
    bare = LineSite(tmp_path_factory.mktemp("bare"), receiver)
    bare.user("ann", emails=ADA, notify=("mailto:ann@example.com",))
    over(bare)
    refused = bare.refusal(bare.notices(), the_row(bare, "andon-change.finished"))
    bare.scenario.close()
    assert isinstance(refused, Denied)
    assert "mail" in refused.hint


def test_nobody_to_tell_needs_no_subscriber(line: LineSite):
    def ensured(mail: bool) -> bool:
        line.line.tx(lambda tx: ensure_notices(tx, mail, 0.0))
        return line.line.look(lambda tx: tx.subscriber(NAME)) is not None

    line.user("ann", emails=ADA)
    assert not ensured(mail=False)
    assert ensured(mail=True)
