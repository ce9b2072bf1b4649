"""What every Store must do with objects and intents, and the words its suites share."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

from typing import Any

import pytest

from andon.api.v1.actions import ActionFailed, Done, Notify, ObserveTraffic
from andon.api.v1.control import ActionRow, Event, NewObject, Selector
from andon.api.v1.records import HoldSpec, HoldStatus, StepRow, Subject
from andon.kernel.errors import Conflict, Fenced, NotFound, UsageError
from andon.ports.store import Place, Store, Tx

NOW = 1_700_000_000.0
PRODUCERS = 12


def hold(name: str, reason: str = "a test", **labels: str) -> NewObject:
    """Make a Hold; it stands for every kind."""
    spec = HoldSpec(scope=Subject(service="shop"), reason=reason, source="person:ann")
    return NewObject(kind="Hold", name=name, spec=spec, status=HoldStatus(), labels=labels)


def event(id: str, **more: Any) -> Event:
    """Make an event."""
    usual: dict[str, Any] = {
        "stream": "env/prod",
        "type": "dev.cdevents.service.deployed.0.3.0",
        "subject": "shop",
    }
    return Event(id=id, **(usual | more))


def notice(key: str, step: str = "tell") -> ActionRow:
    """Make an intent that changes the world."""
    return ActionRow(key=key, step=step, attempt=0, action=Notify(url="http://x/", body={"a": 1}))


NOTICES = Place(queue="Notify")


def look(key: str) -> ActionRow:
    """Make an intent that only looks."""
    action = ObserveTraffic(environment="prod", service="shop")
    return ActionRow(key=key, step="look", attempt=0, action=action)


def appending(*events: Event) -> Any:
    """Make a function that appends these; it answers their positions, None for those there before."""

    def append(tx: Tx, one: Event) -> int | None:
        before = tx.last_seq()
        tx.append(one, NOW)
        after = tx.last_seq()
        return after if after > before else None

    return lambda tx: [append(tx, one) for one in events]


def claiming(now: float = NOW, *, owner: str = "w1", limit: int = 10) -> Any:
    """Make a function that claims tasks for ten seconds."""
    return lambda tx: tx.claim(owner, now, 10.0, limit)


async def write(store: Store, *calls: tuple[str, tuple[Any, ...]]) -> list[Any]:
    """Call methods of one transaction by name."""

    def run(tx: Tx) -> list[Any]:
        return [getattr(tx, name)(*args) for name, args in calls]

    return await store.transact(run)


class ObjectsOfStore:
    """Objects, steps, actions, samples and settings."""

    async def test_object_is_created_once(self, store: Store) -> None:
        first, made = (await write(store, ("create", (hold("a"), "u1", NOW))))[0]
        again, made_again = (await write(store, ("create", (hold("a", "other"), "u2", NOW))))[0]
        assert (made, made_again) == (True, False)
        assert again == first
        assert (first.uid, first.generation, first.version) == ("u1", 1, 1)

    async def test_kind_that_is_none_is_refused(self, store: Store) -> None:
        wrong = NewObject(kind="Hodl", name="a", spec={}, status={})
        with pytest.raises(UsageError, match="Hodl"):
            await write(store, ("create", (wrong, "u1", NOW)))

    async def test_missing_object_names_near_ones(self, store: Store) -> None:
        await write(store, ("create", (hold("storefront"), "u1", NOW)))
        assert await store.read(lambda tx: tx.get("Hold", "storefrnt")) is None
        with pytest.raises(NotFound) as caught:
            await store.read(lambda tx: tx.require("Hold", "storefrnt"))
        assert "storefront" in caught.value.hint

    async def test_stale_status_conflicts_and_changes_nothing(self, store: Store) -> None:
        (stale, _), *_ = await write(store, ("create", (hold("a"), "u1", NOW)))
        newer = await store.transact(lambda tx: tx.put_status(stale, HoldStatus(lifted_by="ann")))
        with pytest.raises(Conflict, match="Hold a"):
            await store.transact(lambda tx: tx.put_status(stale, HoldStatus(lifted_by="bob")))
        assert await store.read(lambda tx: tx.get("Hold", "a")) == newer
        assert newer.version == 2

    async def test_new_spec_raises_the_generation_and_replaces_labels(self, store: Store) -> None:
        (old, _), *_ = await write(store, ("create", (hold("a", state="active"), "u1", NOW)))
        spec = hold("a", "another reason").spec
        new = await store.transact(lambda tx: tx.put_spec(old, spec, {"state": "lifted"}))
        assert (new.generation, new.version) == (2, 2)
        assert await store.transact(lambda tx: tx.put_spec(new, spec)) == new
        with pytest.raises(Conflict):
            await store.transact(lambda tx: tx.put_spec(old, hold("a", "third").spec))
        active, lifted = (Selector(kind="Hold", labels={"state": s}) for s in ("active", "lifted"))
        assert await store.read(lambda tx: (tx.list(active), tx.list(lifted))) == ([], [new])

    async def test_all_labels_must_match(self, store: Store) -> None:
        made = (
            hold("a", service="shop", state="active"),
            hold("b", service="shop", state="lifted"),
            hold("c", service="cart", state="active"),
        )
        await write(store, *(("create", (new, f"u{new.name}", NOW)) for new in made))

        async def names(**labels: str) -> list[str]:
            found = await store.read(lambda tx: tx.list(Selector(kind="Hold", labels=labels)))
            return [one.name for one in found]

        assert await names() == ["a", "b", "c"]
        assert await names(service="shop") == ["a", "b"]
        assert await names(service="shop", state="active") == ["a"]
        assert await names(service="shop", state="gone") == []

    async def test_pages_in_both_directions_see_each_object_once(self, store: Store) -> None:
        await write(store, *(("create", (hold(f"h{n}"), f"u{n}", NOW)) for n in range(5)))

        def pages(tx: Tx, *, newest_first: bool) -> list[str]:
            names: list[str] = []
            after = ""
            while page := tx.list(
                Selector(kind="Hold"), limit=2, after=after, newest_first=newest_first
            ):
                names += [one.name for one in page]
                after = page[-1].uid
            return names

        forward = ["h0", "h1", "h2", "h3", "h4"]
        assert await store.read(lambda tx: pages(tx, newest_first=False)) == forward
        assert await store.read(lambda tx: pages(tx, newest_first=True)) == forward[::-1]
        by_name = await store.read(lambda tx: tx.list(Selector(kind="Hold", name="h3")))
        assert [one.name for one in by_name] == ["h3"]

    async def test_steps_come_by_position_and_are_replaced_by_name(self, store: Store) -> None:
        rows = [StepRow(name="b", position=1), StepRow(name="a", position=2)]
        done = StepRow(name="b", position=1, state="passed", message="ö\n")
        await write(store, *(("put_step", ("u1", row)) for row in (rows[1], rows[0], done)))
        assert await store.read(lambda tx: tx.steps("u1")) == [done, rows[1]]
        by_name = await store.read(lambda tx: list(tx.steps_by_name("u1").values()))
        assert by_name == [done, rows[1]]

    async def test_intent_is_asked_once_and_has_one_outcome(self, store: Store) -> None:
        await write(store, ("create", (hold("a"), "u1", NOW)))
        asked = await write(store, *[("ask", ("u1", notice("k"), 1, NOW, NOTICES))] * 2)
        assert asked == [True, False]
        failed = ActionFailed(code="Unavailable", message="no")
        await write(store, ("set_outcome", ("k", 1, Done(), NOW)))
        with pytest.raises(Fenced, match="ended"):
            await write(store, ("set_outcome", ("k", 1, failed, NOW)))
        (row,) = await store.read(lambda tx: tx.actions("u1"))
        assert row.outcome == Done()
        with pytest.raises(Fenced, match="other"):
            await write(store, ("set_outcome", ("other", 1, Done(), NOW)))

    async def test_intents_without_outcome_are_unfinished(self, store: Store) -> None:
        await write(
            store,
            ("create", (hold("a"), "u1", NOW)),
            *(("ask", ("u1", notice(key), 3, NOW, NOTICES)) for key in ("k2", "k1")),
            ("set_outcome", ("k2", 3, Done(), NOW)),
        )
        assert [row.key for row in await store.read(lambda tx: tx.actions("u1"))] == ["k2", "k1"]
        (pending,) = await store.read(lambda tx: tx.unfinished())
        assert (pending.row.key, pending.kind, pending.name) == ("k1", "Hold", "a")
        assert (pending.uid, pending.token, pending.created_at) == ("u1", 3, NOW)

    async def test_consumed_observations_vanish_and_effects_are_kept(self, store: Store) -> None:
        await write(
            store,
            ("create", (hold("a"), "u1", NOW)),
            *(("ask", ("u1", row, 1, NOW, NOTICES)) for row in (notice("effect"), look("seen"))),
            ("consume", (["effect", "seen", "never-asked"],)),
        )
        assert await store.read(lambda tx: (tx.actions("u1"), tx.unfinished())) == ([], [])
        assert await store.read(lambda tx: tx.action("seen")) is None
        kept = await store.read(lambda tx: tx.action("effect"))
        assert kept is not None
        assert kept.row == notice("effect")

    async def test_samples_keep_their_order_and_are_read_on_from_anywhere(
        self, store: Store
    ) -> None:
        await write(
            store, ("add_samples", ("u1", [{"n": 1}, {"n": 2}])), ("add_samples", ("u2", [{}]))
        )
        await write(store, ("add_samples", ("u1", [{"n": 0.1}])))
        assert await store.read(lambda tx: tx.samples("u1")) == [{"n": 1}, {"n": 2}, {"n": 0.1}]
        assert await store.read(lambda tx: tx.samples("u1", 2)) == [{"n": 0.1}]

    async def test_setting_is_what_was_written_last(self, store: Store) -> None:
        assert await store.read(lambda tx: tx.get_setting("k")) is None
        await write(store, ("put_setting", ("k", "1")), ("put_setting", ("k", "ü ? %s")))
        assert await store.read(lambda tx: tx.get_setting("k")) == "ü ? %s"

    async def test_settings_are_found_by_how_they_begin_until_they_are_forgotten(
        self, store: Store
    ) -> None:
        for key in ("a:2", "a:1", "a_1", "b:1"):
            await write(store, ("put_setting", (key, key.upper())))
        assert await store.read(lambda tx: tx.settings("a:")) == {"a:1": "A:1", "a:2": "A:2"}
        await write(store, ("remove_setting", ("a:1",)), ("remove_setting", ("never",)))
        assert await store.read(lambda tx: tx.settings("a:")) == {"a:2": "A:2"}
        assert await store.read(lambda tx: tx.get_setting("a:1")) is None
