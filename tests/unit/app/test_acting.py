"""A wish is carried out once, on the revision it was meant for, and its privilege is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.access import TeamSpec
from andon.api.v1.control import NewObject
from andon.api.v1.records import Empty
from andon.app.acting import act
from andon.kernel.errors import Stale, UsageError
from andon.ports.asking import Asked
from andon.ports.store import Store, Tx
from andon.store import open_store

NOW = 1_780_000_000.0
ANN = Asked(by="person:ann")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(str(tmp_path / "andon.db"), source="/test")
    yield opened
    opened.close()


def add_member(tx: Tx) -> dict[str, Any]:
    """Change something, so that twice can be told from once."""
    found = tx.get("Team", "sre")
    if found is None:
        new = NewObject(kind="Team", name="sre", spec=TeamSpec(), status=Empty())
        found, _ = tx.create(new, "team-sre", NOW)
    members = (*found.spec.members, f"m{len(found.spec.members)}")
    changed = tx.put_spec(found, TeamSpec(members=members))
    return {"members": list(members), "revision": str(changed.version), "secret": "shown once"}


async def do(store: Store, asked: Asked, **more: Any) -> dict[str, Any]:
    return await store.transact(lambda tx: act(tx, asked, NOW, add_member, **more))


def keyed(key: str, fingerprint: str, by: str = "person:ann") -> Asked:
    return Asked(by=by, key=key, fingerprint=fingerprint)


async def test_the_same_key_acts_once_and_gets_the_same_answer(store: Store) -> None:
    first = await do(store, keyed("k", "f"))
    again = await do(store, keyed("k", "f"))
    assert first["members"] == again["members"] == ["m0"]
    assert (await do(store, ANN))["members"] == ["m0", "m1"]


async def test_what_is_shown_once_is_not_kept_for_who_asks_again(store: Store) -> None:
    assert (await do(store, keyed("k", "f")))["secret"] == "shown once"
    assert "secret" not in await do(store, keyed("k", "f"))
    kept = await store.read(lambda tx: [str(one.spec) for one in requests(tx)])
    assert kept
    assert "shown once" not in "".join(kept)


def requests(tx: Tx) -> list[Any]:
    from andon.api.v1.control import Selector

    return list(tx.list(Selector(kind="Request")))


async def test_a_key_belongs_to_one_wish_of_one_person(store: Store) -> None:
    await do(store, keyed("k", "f"))
    with pytest.raises(UsageError, match="another request"):
        await do(store, keyed("k", "other"))
    assert (await do(store, keyed("k", "f", by="person:ben")))["members"] == ["m0", "m1"]


async def test_a_wish_that_fails_leaves_its_key_free(store: Store) -> None:
    def fail(tx: Tx) -> dict[str, Any]:
        add_member(tx)
        raise UsageError("no")

    with pytest.raises(UsageError):
        await store.transact(lambda tx: act(tx, keyed("k", "f"), NOW, fail))
    assert (await do(store, keyed("k", "f")))["members"] == ["m0"]


async def test_only_the_revision_that_was_seen_is_changed(store: Store) -> None:
    seen = (await do(store, ANN))["revision"]
    subject = ("Team", "sre")
    await do(store, Asked(by="person:ann", expect=seen), subject=subject)
    with pytest.raises(Stale, match="somebody changed it"):
        await do(store, Asked(by="person:ben", expect=seen), subject=subject)
    with pytest.raises(Stale, match="is gone"):
        await do(store, Asked(by="person:ben", expect=seen), subject=("Team", "none"))
    with pytest.raises(UsageError):
        await do(store, Asked(by="person:ben", expect=seen))
    assert (await do(store, ANN))["members"] == ["m0", "m1", "m2"]


async def test_a_privilege_is_an_event_with_its_actor(store: Store) -> None:
    await do(store, Asked(by="person:ann", operation="teams_change", via="token ci"))
    (row,) = await store.read(lambda tx: tx.events())
    assert row.type == "dev.cdeventsx.andon-access.used.0.1.0"
    for said in (b"person:ann", b"teams_change", b"token ci"):
        assert said in row.body


async def test_what_fails_leaves_no_event(store: Store) -> None:
    asked = Asked(by="person:ann", operation="x", expect="9")
    with pytest.raises(Stale):
        await do(store, asked, subject=("Team", "sre"))
    assert not await store.read(lambda tx: tx.events())
