"""Secrets as people manage them, over a real store and a real key file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from andon.api.v1.installation import SecretsKeySpec
from andon.api.v1.jobs import SecretRef
from andon.app.ledger.telling import tell_event
from andon.app.secrets.keeper import Secrets
from andon.app.secrets.safe import Reader, Vault, open_safe
from andon.kernel.errors import Conflict, NotFound, Unavailable, Untrusted, UsageError
from andon.ports.asking import Asked
from andon.ports.store import Store
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store

VALUE = "correct horse battery staple"
ANN = Asked(by="person:ann", key="k1", fingerprint="f1")
LATER = Asked(by="person:bob")


class Desk:
    """An installation's secrets; ``again`` is what another process sees."""

    def __init__(self, state: Path, store: Store) -> None:
        self.state, self.store = state, store
        self.again()

    def again(self) -> None:
        self.safe = open_safe(SecretsKeySpec(), self.state, SystemRandomness())
        self.secrets = Secrets(self.store, Turns([], SystemRandomness()), self.safe, SystemClock())
        self.reader = Reader(self.store, self.safe)

    async def value(self, name: str = "db", environment: str = "prod", version: int = 0) -> str:
        ref = SecretRef(name=name, environment=environment, version=version)
        return (await self.reader.values({"V": ref}))["V"]

    def text(self) -> bytes:
        files = (one for one in self.state.rglob("*") if one.is_file() and "key" not in one.name)
        return b"".join(one.read_bytes() for one in files)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = open_store(str(tmp_path / "control.db"), source="/andon/test", clock=SystemClock())
    yield Desk(tmp_path, store)
    store.close()


async def test_a_value_is_nowhere_in_clear_and_opens_for_who_names_it(desk: Desk):
    answer = await desk.secrets.put("prod", "db", VALUE, asked=ANN, create=True)
    assert (answer["version"], answer["by"], answer["runs"]) == (1, "person:ann", [])
    assert VALUE not in str(answer)
    assert await desk.value() == VALUE
    desk.again()
    assert await desk.value(version=1) == VALUE
    assert VALUE.encode() not in desk.text()


async def test_the_same_wish_is_carried_out_once_and_its_digest_is_not_kept(desk: Desk):
    first = await desk.secrets.put("prod", "db", VALUE, asked=ANN, create=True)
    assert await desk.secrets.put("prod", "db", VALUE, asked=ANN, create=True) == first
    (request,) = await desk.store.read(lambda tx: tx.list(_all("Request")))
    assert request.spec.fingerprint != ANN.fingerprint


def _all(kind: str):
    from andon.api.v1.control import Selector

    return Selector(kind=kind)


async def test_the_ledger_says_who_did_what_without_the_value(desk: Desk):
    ada = Asked(by="person:ada")
    await desk.secrets.put("prod", "db", VALUE, asked=ada, create=True)
    await desk.secrets.put("pipelines", "npm", VALUE, asked=LATER, create=True)
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=False)
    await desk.secrets.rewrap(old_key="", lost=False, asked=ada)
    await desk.secrets.remove("prod", "db", asked=ada)
    rows = await desk.store.read(lambda tx: tx.events(limit=100))
    assert [(row.stream, tell_event(row)) for row in rows] == [
        ("env/prod", "secret db set by ada in prod, version 1"),
        ("org", "secret npm set by bob in pipelines, version 1"),
        ("env/prod", "secret db rotated by bob in prod, version 2"),
        ("org", "person:ada has another key seal the secrets"),
        ("env/prod", "secret db removed by ada in prod, version 2"),
    ]
    assert not any(VALUE.encode() in row.body for row in rows)


async def test_a_secret_is_set_once_and_rotated_then(desk: Desk):
    with pytest.raises(NotFound) as refused:
        await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=False)
    assert refused.value.hint == "andon secret set db --environment prod"
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    with pytest.raises(Conflict) as known:
        await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    assert known.value.hint == "andon secret rotate db --environment prod"
    await desk.secrets.put("prod", "db", "another one", asked=LATER, create=False)
    assert await desk.value() == "another one"
    with pytest.raises(NotFound, match="version 1 of secret db in prod is not kept"):
        await desk.value(version=1)


async def test_environments_have_secrets_of_their_own(desk: Desk):
    await desk.secrets.put("dev", "db", VALUE, asked=LATER, create=True)
    await desk.secrets.put("pipelines", "db", "for builds", asked=LATER, create=True)
    with pytest.raises(NotFound, match="secret db is not set in prod"):
        await desk.value()
    assert await desk.value(environment="pipelines") == "for builds"
    listed = await desk.secrets.list()
    assert [one["environment"] for one in listed] == ["dev", "pipelines"]
    assert [one["name"] for one in await desk.secrets.list(environment="dev")] == ["db"]


async def test_what_was_sealed_for_one_environment_does_not_open_in_another(desk: Desk):
    for environment in ("dev", "prod"):
        value = f"of {environment}!"
        await desk.secrets.put(environment, "db", value, asked=LATER, create=True)

    def swap(tx):
        found = tx.settings("sealed:secret/")
        tx.put_setting("sealed:secret/prod/db/1", found["sealed:secret/dev/db/1"])

    await desk.store.transact(swap)
    with pytest.raises(Untrusted):
        await desk.value()


async def test_a_secret_that_was_removed_and_set_again_is_another_version(desk: Desk):
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    await desk.secrets.remove("prod", "db", asked=LATER)
    assert await desk.store.read(lambda tx: tx.settings("sealed:secret/")) == {}
    again = await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    assert again["version"] == 2
    with pytest.raises(NotFound):
        await desk.secrets.remove("prod", "other", asked=LATER)


async def test_no_new_key_is_made_when_the_key_is_lost(desk: Desk):
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    key = desk.state / "secrets.key"
    key.rename(key.with_name("elsewhere.key"))
    desk.again()
    for act in (desk.value(), desk.secrets.put("prod", "x", VALUE, asked=LATER, create=True)):
        with pytest.raises(Unavailable, match="is missing"):
            await act
    assert not key.exists()


async def test_another_key_seals_everything_and_is_used_by_other_processes(desk: Desk):
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    await desk.store.transact(lambda tx: Vault(desk.safe).seal(tx, "hook/x", "inner hush"))
    other = Reader(desk.store, open_safe(SecretsKeySpec(), desk.state, SystemRandomness()))
    ref = {"V": SecretRef(name="db", environment="prod")}
    assert (await other.values(ref))["V"] == VALUE
    answer = await desk.secrets.rewrap(old_key="", lost=False, asked=LATER)
    assert answer["values"] == 2
    assert answer["key"] != answer["before"]
    assert await desk.value() == VALUE == (await other.values(ref))["V"]
    assert await desk.store.read(lambda tx: Vault(desk.safe).open(tx, "hook/x")) == "inner hush"
    before = desk.state / f"secrets.key.{answer['before']}"
    assert before.exists()
    before.unlink()
    desk.again()
    assert await desk.value() == VALUE


async def test_a_key_that_was_replaced_by_hand_needs_the_old_one(desk: Desk):
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    key = desk.state / "secrets.key"
    old = key.read_text()
    key.unlink()
    open_safe(SecretsKeySpec(), desk.state, SystemRandomness()).next_key(None)
    (desk.state / "secrets.key.next").rename(key)
    desk.again()
    with pytest.raises(Unavailable, match="another key"):
        await desk.value()
    assert (await desk.secrets.rewrap(old_key=old, lost=False, asked=LATER))["values"] == 1
    assert await desk.value() == VALUE
    with pytest.raises(Conflict):
        await desk.secrets.rewrap(old_key=old, lost=False, asked=LATER)


@pytest.mark.parametrize(
    ("value", "why"),
    [("short", "5 bytes"), ("x" * 65537, "at most 65,536"), ("with\0nul", "NUL")],
)
async def test_what_cannot_be_a_secret_is_refused_unquoted(desk: Desk, value: str, why: str):
    with pytest.raises(UsageError, match=why) as refused:
        await desk.secrets.put("prod", "db", value, asked=LATER, create=True)
    assert value not in str(refused.value)
    with pytest.raises(UsageError, match="no environment"):
        await desk.secrets.put("../prod", "db", VALUE, asked=LATER, create=True)


async def test_internal_secrets_are_kept_replaced_and_forgotten(desk: Desk):
    vault = Vault(desk.safe)

    def play(tx):
        vault.seal(tx, "hook/x", "first one")
        vault.seal(tx, "hook/x", "second one")
        seen = vault.open(tx, "hook/x"), vault.open(tx, "hook/y")
        vault.forget(tx, "hook/x")
        return (*seen, vault.open(tx, "hook/x"))

    assert await desk.store.transact(play) == ("second one", None, None)


async def test_values_are_read_beside_each_other(desk: Desk):
    for number in range(3):
        await desk.secrets.put("prod", f"s{number}", f"value {number}", asked=LATER, create=True)
    found = await asyncio.gather(*(desk.value(f"s{number}") for number in range(3)))
    assert found == ["value 0", "value 1", "value 2"]
    assert await desk.reader.values({}) == {}


async def test_who_lost_the_key_begins_anew_and_loses_the_values(desk: Desk):
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=True)
    (desk.state / "secrets.key").unlink()
    desk.again()
    with pytest.raises(Unavailable):
        await desk.secrets.rewrap(old_key="", lost=False, asked=LATER)
    answer = await desk.secrets.rewrap(old_key="", lost=True, asked=LATER)
    assert (answer["values"], answer["forgotten"]) == (0, 1)
    with pytest.raises(NotFound, match="not kept any more"):
        await desk.value()
    await desk.secrets.put("prod", "db", VALUE, asked=LATER, create=False)
    desk.again()
    assert await desk.value() == VALUE
