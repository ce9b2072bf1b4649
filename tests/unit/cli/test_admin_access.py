"""``andon admin user|team|token`` against a door that is served on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from andon.adapters.passwords import Cost, Passwords
from andon.api.v1.installation import SecretsKeySpec
from andon.app.access.door import Door
from andon.app.secrets.safe import Vault, open_safe
from andon.cli.run import run
from andon.ports.offices import Offices
from andon.store import open_store
from andon.testing.clock import FakeClock, SeededRandomness
from andon.testing.line import StillLine
from andon.web.app import create_app
from andon.web.serve import serve

PASSWORD = "correct horse battery"


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ask = Callable[..., Awaitable[Said]]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    clock, chance = FakeClock(), SeededRandomness()
    store = open_store(str(tmp_path / "a.db"), source="/andon/test", clock=clock)
    cheap = Passwords(chance, Cost(log2_n=4, r=1, p=1))
    vault = Vault(open_safe(SecretsKeySpec(), tmp_path, chance))
    opened = Door(tmp_path, store, clock, chance, vault=vault, passwords=cheap)
    await opened.open()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    served = asyncio.ensure_future(
        serve(
            create_app(Offices(line=StillLine(), access=opened)),
            socket_path=tmp_path / "control.sock",
            port=0,
            ready=ready.set_result,
        )
    )
    await ready
    yield opened
    served.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await served
    store.close()


@pytest.fixture
def ask(
    door: Door,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Ask:
    async def asked(*words: str, stdin: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        command = ["admin", *words, "--state", str(tmp_path)]
        code = await asyncio.to_thread(run, command)
        return Said(code, *capsys.readouterr())

    return asked


async def test_user_is_added_shown_changed_and_removed(ask: Ask, door: Door):
    added = await ask(
        *("user", "add", "ann", "--role", "developer@dev", "--email", "ann@example.com"),
        "--password",
        stdin=f"{PASSWORD}\n",
    )
    assert added.code == 0
    assert "developer@dev" in added.out
    assert "no environment dev yet" in added.err
    assert (await door.log_in("ann", PASSWORD, address="192.0.2.1")).identity.name == "person:ann"
    changed = await ask(
        *("user", "change", "ann", "--role", "approver", "--email", "Second@example.com"), "--json"
    )
    assert changed.json["grants"] == [
        {"role": "developer", "environment": "dev"},
        {"role": "approver", "environment": "*"},
    ]
    assert changed.json["emails"] == ["ann@example.com", "second@example.com"]
    less = ("--without-role", "developer@dev", "--without-email", "ann@example.com")
    changed = await ask("user", "change", "ann", *less, "--disable", "--json")
    assert [one["role"] for one in changed.json["grants"]] == ["approver"]
    assert "disabled" in (await ask("user", "list")).out
    enabled = await ask("user", "change", "ann", "--enable", "--no-password", "--json")
    assert (enabled.json["disabled"], enabled.json["hasPassword"]) == (False, False)
    assert (await ask("user", "remove", "ann")).code == 0
    assert (await ask("user", "list", "--json")).json == []


async def test_administrator_unlocks_a_name(ask: Ask, door: Door):
    await ask("user", "add", "ann", "--role", "viewer", "--password", stdin=f"{PASSWORD}\n")
    for number in range(5):
        with contextlib.suppress(Exception):
            await door.log_in("ann", "wrong", address=f"192.0.2.{number}")
    assert "andon admin user change ann --unlock" in (await ask("user", "show", "ann")).out
    assert "locked" not in (await ask("user", "change", "ann", "--unlock")).out
    await door.log_in("ann", PASSWORD, address="192.0.2.99")


async def test_password_comes_from_standard_input_and_a_short_one_is_not_said_again(ask: Ask):
    refused = await ask("user", "add", "ann", "--password", stdin="tooshort1\n")
    assert refused.code == 2
    assert "12 characters" in refused.err
    assert "tooshort1" not in refused.err
    assert (await ask("user", "add", "ann", "--password")).code == 2


async def test_token_stands_alone_on_standard_output(ask: Ask, door: Door):
    made = await ask("token", "create", "ci", "--role", "developer", "--expires", "7d")
    assert made.code == 0
    secret = made.out.rstrip("\n")
    assert secret.startswith("andon_")
    assert "not shown again" in made.err
    assert secret not in made.err
    who = door.of_token(secret)
    assert who is not None
    assert who.name == "service:ci"
    assert secret not in (await ask("token", "list", "--json")).out
    assert "developer" in (await ask("token", "list")).out
    assert (await ask("token", "revoke", "ci")).code == 0
    assert door.of_token(secret) is None
    assert "revoked" in (await ask("token", "list")).out
    as_json = await ask("token", "create", "cd", "--role", "viewer", "--json")
    assert door.of_token(as_json.json["secret"]) is not None


async def test_admin_token_is_rotated_into_its_file(ask: Ask, door: Door, tmp_path: Path):
    old = (tmp_path / "admin.token").read_text().strip()
    answer = await ask("token", "rotate-admin")
    new = (tmp_path / "admin.token").read_text().strip()
    assert str(tmp_path / "admin.token") in answer.out
    assert new not in answer.out
    assert door.of_token(old) is None
    assert door.of_token(new) is not None


async def test_team_is_added_changed_and_removed(ask: Ask):
    for name in ("ann", "bob"):
        await ask("user", "add", name)
    added = await ask("team", "add", "crew", "--member", "ann", "--role", "operator", "--json")
    assert added.json["members"] == ["ann"]
    more = ("--member", "bob", "--without-member", "ann", "--role", "approver@prod")
    changed = await ask("team", "change", "crew", *more, "--json")
    assert changed.json["members"] == ["bob"]
    assert "operator approver@prod" in (await ask("team", "list")).out
    assert (await ask("team", "remove", "crew")).code == 0
    assert (await ask("team", "change", "crew", "--member", "ann")).code == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("user", "add", "ann", "--role", "boss"), 2, "'boss' is no role"),
        (("user", "add", "Ann"), 2, "Ann"),
        (("user", "show", "zoe"), 4, "zoe"),
        (("user", "change", "kim"), 2, "nothing is to be changed"),
        (("user", "change", "kim", "--without-role", "admin"), 2, "not there"),
        (("user", "change", "kim", "--password", "--no-password"), 2, "either"),
        (("token", "create", "ci"), 2, "without a role"),
        (("token", "create", "ci", "--role", "viewer", "--expires", "soon"), 2, "--expires"),
        (("token", "create", "ci", "--role", "viewer", "--expires", "900d"), 2, "366 days"),
        (("token", "revoke", "admin"), 5, "rotate-admin"),
        (("team", "change", "crew"), 4, "crew"),
    ],
)
async def test_slips_are_answered_in_one_message(
    ask: Ask, words: tuple[str, ...], code: int, said: str
):
    await ask("user", "add", "kim", "--role", "viewer")
    answer = await ask(*words)
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
