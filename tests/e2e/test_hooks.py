"""A forge, a chat and a real control plane: a push is shipped, and both are told how it fares."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Installation, Json, installation
from project import Project
from traffic import until

from andon.testing import forges
from andon.testing.children import free_port
from andon.testing.forges import Sent
from andon.testing.webhook import WebhookReceiver

TOKEN = "t0ken-of-the-forge-s-api"


class Forge:
    """What the forge knows: where to post, and the secret."""

    def __init__(self, made: Json, receiver: WebhookReceiver) -> None:
        self.url: str = made["url"]
        self.secret: str = made["secret"]
        self._receiver = receiver

    def send(self, sent: Sent) -> tuple[int, Json]:
        """Post a message; status and answer."""
        request = urllib.request.Request(self.url, sent.body, sent.headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def statuses(self, sha: str) -> list[Json]:
        """Return what was reported of a commit."""
        path = f"/repos/{forges.PROJECT}/statuses/{sha}"
        return [json.loads(one.body) for one in self._receiver.requests if one.path == path]

    def reported(self, sha: str, state: str) -> Json:
        """Wait until a commit's newest status is this."""

        def look() -> Any:
            told = self.statuses(sha)
            return told[-1] if told and told[-1]["state"] == state else None

        return until(look, f"the forge knows {sha[:12]} as {state}")


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    opened = WebhookReceiver()
    opened.start()
    yield opened
    opened.kill()


@pytest.fixture(scope="module")
def andon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    state = tmp_path_factory.mktemp("hooks") / "state"
    with installation(state, "--port", str(free_port())) as one:
        yield one


@pytest.fixture(scope="module")
def project(andon: Installation) -> Project:
    return Project(andon.state.with_name("hello"))


@pytest.fixture(scope="module")
def forge(andon: Installation, project: Project, receiver: WebhookReceiver) -> Forge:
    token = andon.state.with_name("token")
    token.write_text(f"{TOKEN}\n")
    api = f"http://127.0.0.1:{receiver.port}"
    added = andon.andon(
        *("hooks", "add", "shop", "--forge", "github", "--repository", str(project.path)),
        *("--api", api, "--project", forges.PROJECT, "--token-file", str(token), "--json"),
    )
    assert added.code == 0, added.text
    chat = f"{receiver.url}/chat"
    who = ("--email", "tester@example.org", "--notify", chat)
    told = andon.andon("admin", "user", "add", "tess", *who)
    assert told.code == 0, told.text
    return Forge(json.loads(added.text), receiver)


def test_push_is_shipped_and_everybody_is_told(
    andon: Installation, project: Project, forge: Forge, receiver: WebhookReceiver
):
    sent = forges.push("github", forge.secret)
    status, answer = forge.send(sent)
    assert status == 202, answer
    assert (answer["taken"], answer["sha"]) == (True, project.good)
    assert andon.ended(answer["change"])["phase"] == "Succeeded"
    last = forge.reported(project.good, "success")
    assert last["description"] == "runs in prod"
    assert last["target_url"].endswith(f"/#/changes/{answer['change']}")
    assert {one["state"] for one in forge.statuses(project.good)[:-1]} == {"pending"}
    notice = until(
        lambda: next((one for one in receiver.requests if one.path.endswith("/chat")), None),
        "the author is told",
    )
    assert json.loads(notice.body)["text"].startswith("shipped: say 'one'")
    again, refusal = forge.send(sent)
    assert again == 409, refusal
    assert answer["change"] in refusal["detail"]


def test_unsigned_message_is_refused_and_written_down(andon: Installation, forge: Forge):
    status, answer = forge.send(forges.push("github", "another-secret-than-that"))
    assert status == 403, answer
    kept = andon.andon(
        "ledger", "list", "--type", "dev.cdeventsx.andon-access.denied.0.1.0", "--json"
    )
    assert "forge:shop" in kept.text


def test_proposal_is_built_and_deployed_nowhere(
    andon: Installation, project: Project, forge: Forge
):
    project.git("checkout", "--quiet", "-b", "topic")
    head = project.commit("two")
    project.git("checkout", "--quiet", "main")
    _, answer = forge.send(forges.proposal("github", forge.secret))
    assert answer["sha"] == head
    change = andon.ended(answer["change"])
    assert change["phase"] == "Succeeded"
    assert [run["type"] for run in change["runs"]] == ["build"]
    assert forge.reported(head, "success")["description"].startswith("built")
    assert "takes it on" in andon.andon("why", answer["change"]).text


def test_what_strangers_propose_names_what_a_person_may_type(forge: Forge):
    _, answer = forge.send(forges.proposal("github", forge.secret, fork=True))
    assert not answer["taken"]
    assert answer["command"].startswith("andon ship ")


def test_hook_is_shown_without_secrets_rotated_and_removed(
    andon: Installation, forge: Forge, tmp_path: Path
):

    def settled() -> str:
        """Return what is shown once every answer of the forge is noted."""
        told = andon.andon("hooks", "show", "shop").text
        return told if "active, 0 waiting, 0 given up" in told else ""

    shown = until(settled, "nothing waits")
    assert forge.url in shown
    everything = shown + andon.andon("hooks", "list", "--json").text + andon.log.read_text()
    assert forge.secret not in everything
    assert TOKEN not in everything
    new = json.loads(andon.andon("hooks", "rotate", "shop", "--json").text)["secret"]
    assert new != forge.secret
    assert forge.send(forges.push("github", forge.secret, "other"))[0] == 403
    assert forge.send(forges.push("github", new, "other"))[0] == 202
    assert andon.andon("hooks", "remove", "shop").code == 0
    assert forge.send(forges.push("github", new, "more"))[0] == 403
    missing = andon.andon("hooks", "show", "shop")
    assert missing.code == 4, missing.text
