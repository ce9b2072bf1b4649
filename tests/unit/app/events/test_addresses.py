"""Where subscribers are and what signs: nowhere in clear, over a real store and a real key file."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.control import Selector
from andon.api.v1.installation import SecretsKeySpec
from andon.app.events.addresses import Addresses
from andon.app.events.sinks import sinks
from andon.app.events.subscriptions import Subscriptions
from andon.app.secrets.keeper import Secrets
from andon.app.secrets.safe import Vault, open_safe
from andon.kernel.errors import NotFound, Unavailable, Untrusted
from andon.ports.asking import Asked
from andon.ports.sinks import Receiver
from andon.ports.store import Store
from andon.ports.store.outbox import Subscriber, Subscription
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store

PATH_TOKEN = "T0KEN-IN-THE-PATH"
PASSWORD = "PASSW0RD-OF-THE-BROKER"
SIGNING = "whsec_" + "c2lnbmluZyBzZWNyZXQgb2YgdGhlIHRlc3Rz"
WEBHOOK = f"https://hooks.example.com/{PATH_TOKEN}"
BROKER = f"amqps://ann:{PASSWORD}@mq.example.com/line"
HUSH = (PATH_TOKEN, PASSWORD, SIGNING)
ANN = Asked(by="person:ann", key="k1", fingerprint="f1")
BOB = Asked(by="person:bob")


class Desk:
    """An installation's subscriptions; ``again`` is what another process sees."""

    def __init__(self, state: Path, store: Store) -> None:
        self.state, self.store = state, store
        self.key = state / "secrets.key"
        self.again()

    def again(self) -> None:
        clock, chance = SystemClock(), SystemRandomness()
        safe = open_safe(SecretsKeySpec(), self.state, chance)
        vault = Vault(safe)
        self.addresses = Addresses(vault)
        self.secrets = Secrets(self.store, Turns([], chance), safe, clock)
        self.subscriptions = Subscriptions(self.store, clock, chance, vault, sinks(clock))

    async def add(
        self, name: str, url: str, secret: str = "", asked: Asked = BOB
    ) -> dict[str, Any]:
        return await self.subscriptions.add(name, url=url, secret=secret, asked=asked)

    async def opened(self, name: str) -> Receiver:
        def look(tx):
            return self.addresses.look(tx, tx.subscriber(name).spec)

        return self.addresses.open(await self.store.read(look))

    async def seals(self) -> dict[str, str]:
        return await self.store.read(lambda tx: tx.settings("sealed:"))

    def bytes(self) -> bytes:
        """Return the database with its log."""
        return b"".join(file.read_bytes() for file in self.state.glob("control.db*"))

    def in_clear(self) -> list[str]:
        kept = self.bytes()
        return [hush for hush in HUSH if hush.encode() in kept]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = open_store(str(tmp_path / "control.db"), source="/andon/test", clock=SystemClock())
    yield Desk(tmp_path, store)
    store.close()


async def test_neither_address_nor_secret_is_kept_or_answered_in_clear(desk: Desk):
    said = [
        await desk.add("hook", WEBHOOK, SIGNING, asked=ANN),
        await desk.add("broker", BROKER),
        await desk.subscriptions.list(),
        await desk.subscriptions.show("hook"),
        await desk.subscriptions.pause("broker", asked=BOB, reason=""),
        await desk.subscriptions.rotate("hook", asked=BOB, drop_old=True),
        await desk.store.read(lambda tx: [row.body for row in tx.events(limit=100)]),
        await desk.store.read(lambda tx: tx.subscribers()),
    ]
    assert "https://hooks.example.com/…" in str(said)
    assert "amqps://ann:…@mq.example.com/line" in str(said)
    assert not [hush for hush in HUSH if hush in str(said)]
    assert desk.in_clear() == []
    desk.store.close()
    assert desk.in_clear() == []


async def test_another_process_with_the_key_opens_them(desk: Desk):
    await desk.add("hook", WEBHOOK, SIGNING)
    await desk.add("broker", BROKER)
    desk.again()
    hook, broker = await desk.opened("hook"), await desk.opened("broker")
    assert (hook.url, hook.secrets) == (WEBHOOK, (SIGNING,))
    assert (broker.url, broker.secrets) == (BROKER, ())
    assert repr(hook) == "Receiver(hook)"


async def test_what_is_kept_of_the_wish_helps_nobody_to_guess_the_address(desk: Desk):
    first = await desk.add("hook", WEBHOOK, asked=ANN)
    made = first.pop("secret")
    assert await desk.add("hook", WEBHOOK, asked=ANN) == first
    assert made.encode() not in desk.bytes()
    (request,) = await desk.store.read(lambda tx: tx.list(Selector(kind="Request")))
    assert request.spec.fingerprint != ANN.fingerprint


async def test_rotated_secret_is_sealed_beside_the_one_before(desk: Desk):
    await desk.add("hook", WEBHOOK, SIGNING)
    made = (await desk.subscriptions.rotate("hook", asked=BOB))["secret"]
    opened = await desk.opened("hook")
    assert (opened.url, opened.secrets) == (WEBHOOK, (made, SIGNING))
    assert (await desk.subscriptions.show("hook"))["signedWith"] == 2
    await desk.subscriptions.rotate("hook", asked=BOB, drop_old=True)
    assert (await desk.opened("hook")).secrets == (made,)
    assert made.encode() not in desk.bytes()


@pytest.mark.parametrize("alter", ["garbage", "of another"])
async def test_altered_seal_is_not_believed(desk: Desk, alter: str):
    await desk.add("hook", WEBHOOK, SIGNING)
    await desk.add("other", WEBHOOK, SIGNING)

    def swap(tx):
        text = tx.get_setting("sealed:vault/subscription/other") if alter != "garbage" else "{}"
        tx.put_setting("sealed:vault/subscription/hook", text)

    await desk.store.transact(swap)
    with pytest.raises(Untrusted, match="its address cannot be opened") as refused:
        await desk.opened("hook")
    assert "remove the subscription and add it again" in refused.value.hint
    assert (await desk.opened("other")).url == WEBHOOK


async def test_missing_key_is_said_and_no_other_is_made(desk: Desk):
    await desk.add("hook", WEBHOOK, SIGNING)
    desk.key.rename(desk.state / "elsewhere")
    desk.again()
    with pytest.raises(Unavailable, match=r"its address cannot be opened: .* is missing") as lost:
        await desk.opened("hook")
    assert "put the key back" in lost.value.hint
    with pytest.raises(Unavailable):
        await desk.subscriptions.rotate("hook", asked=BOB)
    with pytest.raises(Unavailable):
        await desk.add("other", WEBHOOK)
    assert not desk.key.exists()
    assert (await desk.subscriptions.show("hook"))["url"] == "https://hooks.example.com/…"
    (desk.state / "elsewhere").rename(desk.key)
    assert (await desk.opened("hook")).url == WEBHOOK


async def test_address_forgotten_with_a_lost_key_is_to_be_given_again(desk: Desk):
    await desk.add("hook", WEBHOOK, SIGNING)
    desk.key.unlink()
    desk.again()
    answer = await desk.secrets.rewrap(old_key="", lost=True, asked=BOB)
    assert (answer["values"], answer["forgotten"]) == (0, 1)
    with pytest.raises(NotFound, match="forgotten with the key") as forgotten:
        await desk.opened("hook")
    assert "add it again" in forgotten.value.hint
    await desk.subscriptions.remove("hook", asked=BOB)
    await desk.add("hook", WEBHOOK, SIGNING)
    assert (await desk.opened("hook")).url == WEBHOOK


async def test_another_key_seals_addresses_too(desk: Desk):
    await desk.add("hook", WEBHOOK, SIGNING)
    before = await desk.seals()
    answer = await desk.secrets.rewrap(old_key="", lost=False, asked=BOB)
    assert answer["values"] == 1
    assert answer["key"] in (await desk.seals())["sealed:vault/subscription/hook"]
    assert await desk.seals() != before
    (desk.state / f"secrets.key.{answer['before']}").unlink()
    desk.again()
    assert (await desk.opened("hook")).secrets == (SIGNING,)


async def test_removing_forgets_what_was_sealed(desk: Desk):
    await desk.add("hook", WEBHOOK, SIGNING)
    assert list(await desk.seals()) == ["sealed:vault/subscription/hook"]
    await desk.subscriptions.remove("hook", asked=BOB)
    assert await desk.seals() == {}


# --- what an earlier Andon kept in clear ----------------------------------------------------------


async def as_before(desk: Desk) -> None:
    """Keep subscriptions as an earlier Andon did."""
    hook = Subscription(name="hook", url=WEBHOOK, secrets=(SIGNING,))
    own = Subscription(name="hook.shop", url="hook://shop")
    specs = (hook, Subscription(name="broker", url=BROKER), own)

    def put(tx):
        for spec in specs:
            tx.put_subscriber(Subscriber(spec=spec, cursor=7))

    await desk.store.transact(put)


async def test_start_seals_what_was_in_clear_and_overwrites_it(desk: Desk):
    await as_before(desk)
    assert sorted(desk.in_clear()) == sorted(HUSH)
    assert (await desk.opened("hook")).secrets == (SIGNING,)
    await desk.addresses.settle(desk.store)
    assert desk.in_clear() == []
    hook, broker = await desk.opened("hook"), await desk.opened("broker")
    assert (hook.url, hook.secrets, broker.url) == (WEBHOOK, (SIGNING,), BROKER)
    found = await desk.store.read(lambda tx: tx.subscribers())
    assert {one.spec.name: (one.spec.sealed, one.cursor) for one in found} == {
        "broker": (True, 7),
        "hook": (True, 7),
        "hook.shop": (False, 7),
    }
    assert (await desk.opened("hook.shop")).url == "hook://shop"
    before = await desk.seals()
    await desk.addresses.settle(desk.store)
    assert await desk.seals() == before


async def test_start_without_the_key_leaves_them_and_says_so(
    desk: Desk, caplog: pytest.LogCaptureFixture
):
    await desk.secrets.put("prod", "db", "any value", asked=BOB, create=True)
    await as_before(desk)
    desk.key.unlink()
    desk.again()
    with caplog.at_level(logging.WARNING, "andon.app.secrets.safe"):
        await desk.addresses.settle(desk.store)
    assert "addresses of subscriptions: still in clear" in caplog.text
    assert not [hush for hush in HUSH if hush in caplog.text]
    assert (await desk.opened("hook")).url == WEBHOOK


async def test_start_of_an_installation_without_subscriptions_makes_no_key(desk: Desk):
    await desk.addresses.settle(desk.store)
    assert not desk.key.exists()
