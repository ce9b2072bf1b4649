"""Messages of forges: whatever is sent is taken, passed over or refused; unsigned, it is refused unread."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import every, mutated

from andon.adapters.git import GitSource
from andon.api.v1.control import Selector
from andon.api.v1.installation import SecretsKeySpec
from andon.app.access.door import Door
from andon.app.hooks.parts import hooks
from andon.app.parts import controllers
from andon.app.secrets.safe import Vault, open_safe
from andon.kernel.errors import AndonError, Denied
from andon.ports.asking import Asked
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing import forges
from andon.testing.clock import FakeClock, SeededRandomness
from andon.testing.forges import Sent

SECRET = "a-secret-that-nobody-may-see"
FORGES = ["github", "gitlab", "gitea"]
PIECES = [
    b"github ", b"gitlab ", b"gitea ", b"push\n", b"Push Hook\n", b"pull_request\n", b"[" * 40, b'{"a":' * 40,
    b"null", b"9" * 400, b"1e999", b'"\\ud800"', b"\xff", b'"ref":"refs/heads/main",', b"refs/tags/", b"0" * 40,
    b"--", b"../", b"^{/", b"@{-1}", b"\\u0000", b"payload=", b"%00", b'"pushed_at":', b'"repo":null',
]  # fmt: skip
HEADERS = ["x-hub-signature-256", "x-gitea-signature", "x-gitlab-token", "webhook-signature", "webhook-id",
           "webhook-timestamp", "x-github-event", "x-gitea-event", "x-gitlab-event", "content-type"]  # fmt: skip
Take = Callable[[str, dict[str, str], bytes], Any]


def sent(raw: bytes) -> tuple[str, Sent]:
    """Read ``FORGE EVENT``, a line, and a body; sign it."""
    first, _, body = raw.partition(b"\n")
    name, _, event = first.decode("latin-1").partition(" ")
    forge = name if name in FORGES else "github"
    return forge, forges.send_bytes(forge, SECRET, event, body)


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Take]:
    folder = tmp_path_factory.mktemp("hooks")
    clock = FakeClock()
    store = open_store(str(folder / "a.db"), source="/andon/test", clock=clock)
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder / "shop")], check=True)
    vault = Vault(open_safe(SecretsKeySpec(), folder, SeededRandomness(3)))
    desk = hooks(
        store=store,
        turns=Turns(controllers(), SeededRandomness(1)),
        source=GitSource(folder / "cache"),
        clock=clock,
        randomness=SeededRandomness(2),
        vault=vault,
        refusals=Door(folder, store, clock, SeededRandomness(4), vault=vault),
        url="https://andon.example",
    )
    with asyncio.Runner() as runner:
        for forge in FORGES:
            more: Any = {"forge": forge, "repository": str(folder / "shop"), "secret": SECRET}
            runner.run(desk.add(forge, asked=Asked(by="person:root"), **more))
        yield lambda name, headers, body: runner.run(answer(desk, name, headers, body))
        assert runner.run(store.read(lambda tx: tx.list(Selector(kind="Change")))) == []
    store.close()


async def answer(desk: Any, name: str, headers: dict[str, str], body: bytes) -> Any:
    """Deliver; the answer, or the refusal."""
    try:
        found = await desk.take(name, headers, body)
    except AndonError as error:
        refusal = error
    else:
        return checked(found)
    assert refusal.exit_code != 1, refusal
    assert SECRET not in str(refusal)
    assert len(str(refusal)) < 4000
    return refusal


def checked(found: Any) -> Any:
    """Look at an answer: nothing here leads to a Change."""
    assert SECRET not in json.dumps(found)
    assert not found["taken"]
    return found


@every("hooks")
def test_kept_message_is_understood_or_refused(take: Take, path: Path) -> None:
    forge, message = sent(path.read_bytes())
    assert not isinstance(take(forge, message.headers, message.body), Denied)
    form = {**message.headers, "Content-Type": "application/x-www-form-urlencoded"}
    take(forge, form, message.body)


@given(mutated("hooks", PIECES))
def test_changed_messages_are_understood_or_refused(take: Take, raw: bytes) -> None:
    forge, message = sent(raw)
    assert not isinstance(take(forge, message.headers, message.body), Denied)


@given(mutated("hooks", PIECES))
def test_unsigned_messages_are_refused_whatever_they_say(take: Take, raw: bytes) -> None:
    forge, message = sent(raw)
    other = forges.send_bytes(forge, "another-secret-than-that", "push", message.body)
    assert isinstance(take(forge, other.headers, message.body), Denied)


@given(
    st.sampled_from([*FORGES, "", "nobody", "\0", "../x", quote("ü"), "x" * 999]),
    st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=40) | st.sampled_from(["v1,", "sha256=", "\ud800"])),
    st.binary(max_size=200),
)  # fmt: skip
def test_any_headers_are_refused(
    take: Take, name: str, headers: dict[str, str], body: bytes
) -> None:
    assert isinstance(take(name, headers, body), Denied)
