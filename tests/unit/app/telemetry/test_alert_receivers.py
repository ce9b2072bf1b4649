"""Alerts are told: once, to who should know, and over when they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alert_room import DOWN, PAGER, Room
from msgspec.structs import replace

from andon.adapters.outbound import LOCAL
from andon.api.v1.alerts import AlertRoute, ReceiverSpec, WebhookReceiver
from andon.api.v1.installation import MailSpec
from andon.app.events.couriers import outgoing
from andon.app.telemetry.receivers import OWN, ROUTED, ensure_receivers, open_alert_sink
from andon.kernel.errors import Unavailable
from andon.ports.sinks import NotTaken, Receiver
from andon.testing.webhook import WebhookReceiver as Listener


def settings(receiver: Listener, folder: Path) -> dict[str, Any]:
    chat = folder / "chat"
    chat.write_text(f"http://127.0.0.1:{receiver.port}/chat/s3cret\n")
    receivers = (
        ReceiverSpec(name="hook", webhook=WebhookReceiver(url=receiver.url)),
        ReceiverSpec(name="chat", chat_file=str(chat)),
    )
    route = AlertRoute(
        receivers=("hook", "chat"), match=('severity="page"',), wait_seconds=0, interval_seconds=0
    )
    return {"receivers": receivers, "routes": (route,)}


def deliver(room: Room, mail: MailSpec | None = None) -> None:
    """Hand new events to every subscriber, as couriers do."""
    rows = room.events(ROUTED)[room.seq :]
    room.seq += len(rows)
    room.world.transact(lambda tx: ensure_receivers(tx, room.spec, 0.0))
    for one in room.world.transact(lambda tx: tx.subscribers()):
        sink = sink_of(room, one.spec.name, one.spec.url, mail)
        for row in rows:
            room.do(sink.deliver(outgoing(row)))


def sink_of(room: Room, name: str, url: str, mail: MailSpec | None = None) -> Any:
    return open_alert_sink(
        Receiver(name=name, url=url),
        room.spec,
        store=room.world.store,
        clock=room.world.clock,
        guard=LOCAL,
        mail=mail,
        url="https://andon.example",
    )


def test_each_receiver_is_told_once_of_each_transition(open_room, receiver: Listener, tmp_path):
    room = open_room(**settings(receiver, tmp_path))
    for _ in range(3):
        room.told(DOWN)
        room.look()
    deliver(room)
    assert sorted(one.path for one in receiver.requests) == ["/chat/s3cret", "/events"]
    hook = next(one for one in receiver.requests if one.path == "/events")
    body = json.loads(hook.body)
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "hook")
    assert body["alerts"][0]["labels"]["severity"] == "page"
    assert hook.headers["idempotency-key"]
    receiver.requests.clear()
    room.told({**DOWN, "status": "resolved"})
    room.look()
    deliver(room)
    told = {one.path: json.loads(one.body) for one in receiver.requests}
    assert told["/events"]["status"] == "resolved"
    assert told["/chat/s3cret"]["text"].startswith("resolved: Down")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mail_and_apprise_are_ways_to_tell(open_room, receiver: Listener, tmp_path, mailbox):
    urls = tmp_path / "apprise"
    urls.write_text(f"# ours\njson://127.0.0.1:{receiver.port}/apprise\n")
    sre = ReceiverSpec(name="sre", mail=("sre@b.example",), apprise_file=str(urls))
    route = AlertRoute(receivers=("sre",), wait_seconds=0)
    room = open_room(receivers=(sre,), routes=(route,))
    room.told(DOWN)
    told = MailSpec(server=mailbox.address, sender="a@b.example", start_tls=False)
    deliver(room, told)
    (letter,) = mailbox.letters
    assert letter.recipients == ("sre@b.example",)
    assert letter.message["Subject"].startswith("page: Down")
    (sent,) = receiver.requests
    assert sent.path == "/apprise"
    assert "andon alerts ack" in json.loads(sent.body)["message"]


def test_our_own_message_can_be_taken_in_by_another_andon(open_room, receiver: Listener, tmp_path):
    room = open_room(**settings(receiver, tmp_path))
    room.told(DOWN)
    deliver(room)
    body = next(json.loads(one.body) for one in receiver.requests if one.path == "/events")
    assert room.do(room.alerts.take_alertmanager(body, asked=PAGER))["alerts"]


def test_group_is_written_down_with_its_alert_and_told_after_a_crash(
    open_room, receiver: Listener, tmp_path
):
    room = open_room(**settings(receiver, tmp_path))
    room.told(DOWN)
    assert [one["receiver"] for one in room.routed()] == ["hook", "chat"]
    room.begin()
    room.look()
    assert len(room.routed()) == 2, "nothing is told twice by who goes on"


def test_receiver_that_is_down_is_told_later_with_the_same_id(
    open_room, receiver: Listener, tmp_path
):
    room = open_room(**settings(receiver, tmp_path))
    room.told(DOWN)
    sink = sink_of(room, f"{OWN}hook.webhook", "alert://hook/webhook")
    row = room.events(ROUTED)[0]
    receiver.status = lambda request: 500
    with pytest.raises(NotTaken):
        room.do(sink.deliver(outgoing(row)))
    receiver.status = lambda request: 200
    room.do(sink.deliver(outgoing(row)))
    first, second = (one.headers["idempotency-key"] for one in receiver.requests)
    assert first == second


def test_secret_of_a_receiver_is_in_no_message(open_room, receiver: Listener, tmp_path):
    room = open_room(**settings(receiver, tmp_path))
    room.told(DOWN)
    (tmp_path / "chat").unlink()
    sink = sink_of(room, f"{OWN}chat.chat", "alert://chat/chat")
    row = room.events(ROUTED)[1]
    with pytest.raises(Unavailable, match="cannot be read"):
        room.do(sink.deliver(outgoing(row)))
    assert not [one for one in room.events() if b"s3cret" in one.body]


def test_receivers_follow_the_settings(open_room, receiver: Listener, tmp_path):
    room = open_room(**settings(receiver, tmp_path))
    names = lambda: {one.spec.name for one in room.world.transact(lambda tx: tx.subscribers())}  # noqa: E731
    room.do(room.watch._ensure())
    assert names() == {f"{OWN}hook.webhook", f"{OWN}chat.chat"}
    room.spec = replace(room.spec, receivers=room.spec.receivers[:1], routes=())
    room.begin()
    room.do(room.watch._ensure())
    assert names() == {f"{OWN}hook.webhook"}
    with pytest.raises(Unavailable, match="no receiver chat"):
        sink_of(room, f"{OWN}chat.chat", "alert://chat/chat")
