"""Where people are told: nowhere in clear if who knows the address may write there."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.access import UserSpec, UserStatus
from andon.api.v1.control import NewObject, Selector
from andon.api.v1.installation import SecretsKeySpec
from andon.app.access.door import Door
from andon.app.hooks.places import Places
from andon.app.secrets.keeper import Secrets
from andon.app.secrets.safe import Vault, open_safe
from andon.kernel.errors import NotFound, Unavailable, Untrusted
from andon.ports.asking import Asked
from andon.ports.store import Store
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store

TOKEN = "T0KEN-OF-THE-CHAT"
CHAT = f"https://hooks.example.com/{TOKEN}"
MAIL = "mailto:ann@example.com"
SHOWN = ["https://hooks.example.com/…", MAIL]
ROOT = Asked(by="person:root", key="k1", fingerprint="f1")
AGAIN = Asked(by="person:root")


class House:
    """An installation's people; ``again`` is what another process sees."""

    def __init__(self, state: Path, store: Store) -> None:
        self.state, self.store = state, store
        self.key = state / "secrets.key"
        self.again()

    def again(self) -> None:
        clock, chance = SystemClock(), SystemRandomness()
        safe = open_safe(SecretsKeySpec(), self.state, chance)
        self.places = Places(Vault(safe))
        self.secrets = Secrets(self.store, Turns([], chance), safe, clock)
        self.door = Door(self.state, self.store, clock, chance, vault=Vault(safe))

    async def put(self, *notify: str, create: bool = False, asked: Asked = AGAIN) -> dict[str, Any]:
        return await self.door.put_user("ann", asked=asked, create=create, notify=notify)

    async def opened(self, name: str = "ann") -> tuple[str, ...]:
        def look(tx):
            return self.places.look(tx, tx.require("User", name))

        return self.places.open(await self.store.read(look))

    async def seals(self) -> dict[str, str]:
        return await self.store.read(lambda tx: tx.settings("sealed:"))

    async def before(self, **people: tuple[str, ...]) -> None:
        """Keep users as an earlier Andon did."""

        def create(tx):
            for name, notify in people.items():
                spec = UserSpec(notify=notify)
                new = NewObject(kind="User", name=name, spec=spec, status=UserStatus())
                tx.create(new, f"u-{name}", 0.0)

        await self.store.transact(create)

    def is_in_clear(self) -> bool:
        files = self.state.glob("control.db*")
        return any(TOKEN.encode() in file.read_bytes() for file in files)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = open_store(str(tmp_path / "control.db"), source="/andon/test", clock=SystemClock())
    yield House(tmp_path, store)
    store.close()


async def test_webhook_of_a_chat_is_not_kept_or_answered_in_clear(house: House):
    made = await house.put(CHAT, MAIL, create=True, asked=ROOT)
    said = [made, await house.door.users(), await house.door.user("ann")]
    said += await house.store.read(lambda tx: [row.body for row in tx.events(limit=100)])
    assert made["notify"] == SHOWN
    assert TOKEN not in str(said)
    (request,) = await house.store.read(lambda tx: tx.list(Selector(kind="Request")))
    assert request.spec.fingerprint != ROOT.fingerprint
    assert not house.is_in_clear()
    house.again()
    assert await house.opened() == (CHAT, MAIL)


async def test_what_is_not_secret_needs_no_key(house: House):
    assert (await house.put(MAIL, create=True))["notify"] == [MAIL]
    assert await house.opened() == (MAIL,)
    await house.places.settle(house.store)
    assert not house.key.exists()


async def test_who_is_told_elsewhere_or_removed_leaves_nothing_sealed(house: House):
    await house.put(CHAT, create=True)
    assert list(await house.seals()) == ["sealed:vault/notify/ann"]
    await house.put(CHAT + "/2")
    assert await house.opened() == (CHAT + "/2",)
    await house.put(MAIL)
    assert (await house.seals(), await house.opened()) == ({}, (MAIL,))
    await house.put(CHAT)
    await house.door.remove_user("ann", asked=AGAIN)
    assert await house.seals() == {}


async def test_other_changes_leave_it_sealed(house: House):
    await house.put(CHAT, create=True)
    await house.door.put_user("ann", asked=AGAIN, create=False, emails=["a@b.c"])
    assert await house.opened() == (CHAT,)


async def test_another_key_seals_places_too(house: House):
    await house.put(CHAT, create=True)
    answer = await house.secrets.rewrap(old_key="", lost=False, asked=AGAIN)
    (house.state / f"secrets.key.{answer['before']}").unlink()
    house.again()
    assert (answer["values"], await house.opened()) == (1, (CHAT,))


async def test_missing_key_is_said_and_a_lost_one_asks_for_the_place_again(house: House):
    await house.put(CHAT, create=True)
    house.key.unlink()
    house.again()
    with pytest.raises(Unavailable, match=r"where ann is told cannot be opened: .* is missing"):
        await house.opened()
    with pytest.raises(Unavailable):
        await house.put(CHAT)
    await house.secrets.rewrap(old_key="", lost=True, asked=AGAIN)
    with pytest.raises(NotFound, match="where ann is told was forgotten with the key") as lost:
        await house.opened()
    assert lost.value.hint == "andon admin user change ann --notify …"
    await house.put(CHAT)
    assert await house.opened() == (CHAT,)


async def test_place_sealed_for_another_is_not_believed(house: House):
    await house.put(CHAT, create=True)
    await house.door.put_user("eve", asked=AGAIN, create=True, notify=[CHAT + "/eve"])

    def swap(tx):
        tx.put_setting("sealed:vault/notify/ann", tx.get_setting("sealed:vault/notify/eve"))

    await house.store.transact(swap)
    with pytest.raises(Untrusted, match="where ann is told cannot be opened"):
        await house.opened()


async def test_start_seals_what_was_in_clear_and_overwrites_it(house: House):
    await house.before(ann=(CHAT, MAIL), bob=(MAIL,))
    assert house.is_in_clear()
    assert await house.opened() == (CHAT, MAIL)
    await house.places.settle(house.store)
    assert not house.is_in_clear()
    assert (await house.opened(), await house.opened("bob")) == ((CHAT, MAIL), (MAIL,))
    assert (await house.door.user("ann"))["notify"] == SHOWN
    before = await house.seals()
    await house.places.settle(house.store)
    assert (list(before), before) == (["sealed:vault/notify/ann"], await house.seals())


async def test_start_without_the_key_leaves_them_and_says_so(
    house: House, caplog: pytest.LogCaptureFixture
):
    await house.secrets.put("prod", "db", "any value", asked=AGAIN, create=True)
    await house.before(ann=(CHAT,))
    house.key.unlink()
    house.again()
    with caplog.at_level(logging.WARNING):
        await house.places.settle(house.store)
    assert "where people are told: still in clear" in caplog.text
    assert TOKEN not in caplog.text
    assert await house.opened() == (CHAT,)
