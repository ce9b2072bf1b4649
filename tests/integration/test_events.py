"""Events out and in with the real program: the command line, a real receiver, and a kill at the worst moment."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.access import UserSpec, UserStatus
from andon.api.v1.control import NewObject
from andon.ports.store import Tx
from andon.ports.store.outbox import Subscriber, Subscription
from andon.store import open_store
from andon.testing.cdevents import check_event
from andon.testing.polling import until
from andon.testing.webhook import Received, WebhookReceiver

DEADLINE_SECONDS = 90.0


class Andon:
    """A control plane of its own, and its command line."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self._log = (folder / "up.log").open("w")
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "andon", "up", "--port", "0", "--state", str(self.state)],
            cwd=self.state.parent,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        until(lambda: self.run("status").returncode == 0)

    def run(self, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "andon", *words, "--state", str(self.state)],
            cwd=self.state.parent,
            input=said,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )

    def ask(self, *words: str, said: str = "") -> Any:
        done = self.run(*words, "--json", said=said)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def close(self) -> None:
        self.run("down")
        if self.process is not None:
            self.process.wait(DEADLINE_SECONDS)
        self._log.close()


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Andon]:
    started = Andon(tmp_path_factory.mktemp("events"))
    started.up()
    yield started
    started.close()


def test_event_published_before_a_kill_is_told_again_under_its_id(
    andon: Andon, receiver: WebhookReceiver, conformance_data: Path
):
    killed: list[str] = []

    def kill_first(request: Received) -> int:
        """The receiver has the event; the control plane never learns of it."""
        if json.loads(request.body)["type"].startswith("dev.cdeventsx.andon-hold.") and not killed:
            killed.append(request.headers["webhook-id"])
            andon.kill()
        return 200

    receiver.status = kill_first
    added = andon.ask(
        "subscriptions", "add", "out", "--to", receiver.url, "--types", "dev.cdeventsx.andon-hold."
    )
    assert added["secret"].startswith("whsec_")
    # Its answer may be lost in the kill.
    andon.run("hold", "--environment", "prod", "--reason", "freeze")
    until(lambda: killed)
    andon.up()

    def told() -> Any:
        one = andon.ask("subscriptions", "show", "out")
        return one if (one["delivered"], one["lag"]) == (1, 0) else None

    shown = until(told)
    assert shown["state"] == "active"
    assert "secret" not in shown
    names = [one.headers["webhook-id"] for one in receiver.requests]
    assert names == killed * 2
    for one in receiver.requests:
        check_event(conformance_data, json.loads(one.body))
    assert andon.ask("subscriptions", "remove", "out")["name"] == "out"
    assert "whsec_" not in andon.run("ledger", "list").stdout


def features(conformance_data: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the requests of the standard's own feature file, once for each of its examples."""
    text = (
        conformance_data / "cloudevents" / "features" / "http-protocol-binding.feature"
    ).read_text()
    for outline in text.split("Scenario Outline:")[1:]:
        request = outline.split('"""')[1]
        head, body = re.split(r"\n\s*\n", request.strip(), maxsplit=1)
        table = outline.split("| contentType")[1].strip().splitlines()[1:]
        for example in (row.strip().strip("|").strip() for row in table if "|" in row):
            lines = [line.strip().replace("<contentType>", example) for line in head.split("\n")]
            yield dict(line.split(": ", 1) for line in lines[1:]), body


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def post(andon: Andon, body: bytes | str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    connection = UnixConnection(andon.state / "control.sock")
    connection.request("POST", "/api/v1/events", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def example(conformance_data: Path, name: str) -> dict[str, Any]:
    return json.loads(
        (conformance_data / "cdevents-0.5.1" / "conformance" / f"{name}.json").read_text()
    )


def test_requests_of_the_standards_features_are_read_and_what_they_lack_is_told(
    andon: Andon, conformance_data: Path
):
    requests = list(features(conformance_data))
    assert len(requests) == 4
    for headers, body in requests:
        kept = {name: value for name, value in headers.items() if name != "Content-Length"}
        status, answer = post(andon, body, kept)
        # Their data is no CDEvent; all else of the envelope is in order.
        assert status == 422, answer
        assert [line.split(":")[0] for line in answer["detail"].splitlines()[1:]] == [
            "data.context",
            "data.subject",
            "data.message",
        ]


def test_event_comes_in_by_every_mode(andon: Andon, conformance_data: Path):
    event = example(conformance_data, "build_queued")
    attributes = {
        "specversion": "1.0",
        **{name: event["context"][name] for name in ("id", "source", "type")},
    }
    document = {**attributes, "data": event}
    ways: list[tuple[Any, dict[str, str]]] = [
        (document, {"Content-Type": "application/cloudevents+json; charset=utf-8"}),
        ([document], {"Content-Type": "application/cloudevents-batch+json"}),
        (
            event,
            {
                "Content-Type": "application/json",
                **{f"ce-{name}": value for name, value in attributes.items()},
            },
        ),
    ]
    created = []
    for body, headers in ways:
        status, answer = post(andon, json.dumps(body), headers)
        assert status == 201
        created.append(answer["events"][0]["created"])
    assert created == [True, False, False]


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        ("{}", {"Content-Type": "text/plain"}, "no CloudEvent"),
        ("{", {"Content-Type": "application/cloudevents+json"}, "cannot be read"),
        ("[" * 100_000, {"Content-Type": "application/cloudevents+json"}, "cannot be read"),
        ("{}", {"Content-Type": "application/cloudevents-batch+json"}, "must be a list"),
        (b" " * (1 << 20) + b"{}", {"Content-Type": "application/cloudevents+json"}, "larger"),
    ],
)
def test_request_that_is_none_is_refused(
    andon: Andon, body: bytes | str, headers: dict[str, str], says: str
):
    status, answer = post(andon, body, headers)
    assert (status, answer["code"]) == (400, "UsageError")
    assert says in answer["detail"]


def test_bare_event_is_sent_from_a_file(andon: Andon, conformance_data: Path):
    event = example(conformance_data, "testsuiterun_finished")
    event["context"]["id"] = "suite"
    (answer,) = andon.ask("events", "send", "-", said=json.dumps(event))["events"]
    assert answer["created"]
    assert "names no change" in answer["notes"][0]
    told = andon.run("events", "send", "-", said=json.dumps(event))
    assert "was there already" in told.stdout
    refused = andon.run("events", "send", "-", said='{"context": {}}')
    assert refused.returncode == 3
    assert "data.subject: is missing" in refused.stderr
    assert andon.run("events", "send", "nowhere.json").returncode == 4


def test_people_see_what_is_told_and_what_is_not(andon: Andon, receiver: WebhookReceiver):
    receiver.status = lambda request: 404
    secret = andon.state.parent / "secret"
    secret.write_text("whsec_" + "A" * 44 + "\n")
    added = andon.run(
        *("subscriptions", "add", "lost", "--to", receiver.url, "--secret-file", str(secret)),
        *("--mode", "binary", "--types", "dev.cdeventsx.andon-hold."),
    )
    assert added.returncode == 0
    assert "whsec_" not in added.stdout
    hold = andon.ask("hold", "--service", "shop", "--reason", "look")
    until(lambda: andon.ask("subscriptions", "show", "lost")["dead"] == 1)
    told = andon.run("subscriptions", "show", "lost").stdout
    assert f"dead     hold/{hold['name']}/pulled: 127.0.0.1 answered 404" in told
    assert "lost  active" in re.sub(r"\s+", "  ", andon.run("subscriptions", "list").stdout)
    assert andon.run("subscriptions", "retry", "lost").returncode == 7
    receiver.status = lambda request: 200
    assert andon.run("subscriptions", "retry", "lost").returncode == 0
    assert "paused" in andon.run("subscriptions", "pause", "lost", "-m", "later").stdout
    assert "active" in andon.run("subscriptions", "resume", "lost").stdout
    assert andon.run("subscriptions", "replay", "lost", "--from", "start").returncode == 0
    assert "not shown again" in andon.run("subscriptions", "rotate", "lost").stdout
    assert andon.run("subscriptions", "rotate", "lost", "--drop-old").returncode == 0
    assert "told no more" in andon.run("subscriptions", "remove", "lost").stdout
    assert andon.run("subscriptions", "show", "lost").returncode == 4


def test_what_an_earlier_andon_kept_in_clear_is_sealed_at_its_start(
    andon: Andon, receiver: WebhookReceiver
):
    assert andon.process is not None
    andon.run("down")
    andon.process.wait(DEADLINE_SECONDS)
    chat, signing = f"{receiver.url}/T0KEN-OF-BEFORE", "whsec_" + "B" * 44

    def keep(tx: Tx) -> None:
        spec = Subscription(name="old", url=receiver.url + "/0LD-PATH", secrets=(signing,))
        tx.put_subscriber(Subscriber(spec=spec, cursor=tx.last_seq()))
        ann = NewObject(kind="User", name="ann", spec=UserSpec(notify=(chat,)), status=UserStatus())
        tx.create(ann, "u-ann", 0.0)

    async def write() -> None:
        store = open_store(str(andon.state / "control.db"), source="")
        await store.transact(keep)
        store.close()

    asyncio.run(write())

    def in_clear() -> list[bytes]:
        kept = b"".join(file.read_bytes() for file in andon.state.glob("control.db*"))
        return [hush for hush in (b"T0KEN-OF", b"0LD-PATH", signing.encode()) if hush in kept]

    assert len(in_clear()) == 3
    andon.up()
    assert in_clear() == []
    shown = andon.ask("admin", "user", "show", "ann")
    assert shown["notify"] == [f"http://127.0.0.1:{receiver.port}/…"]
    andon.ask("hold", "--service", "other", "--reason", "look")
    until(lambda: any(one.path.endswith("/0LD-PATH") for one in receiver.requests))
