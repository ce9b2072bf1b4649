"""What every store must do with tasks, actions and leases."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import pytest

from andon.api.v1.actions import Done
from andon.kernel.errors import Conflict, Fenced, NotFound
from andon.ports.store import Limit, PendingAction, Place, Store, Tx
from andon.testing.store_objects_suite import NOTICES, NOW, claiming, hold, notice, write


class TasksOfStore:
    """Tasks and leases."""

    async def test_due_tasks_are_claimed_longest_due_first(self, store: Store) -> None:
        wakes = {"late": NOW - 1, "first": NOW - 9, "not-yet": NOW + 1, "second": NOW - 5}
        await write(store, *(("wake", ("Run", name, due)) for name, due in wakes.items()))
        two = await store.transact(claiming(limit=2))
        rest = await store.transact(claiming())
        assert [task.name for task in two + rest] == ["first", "second", "late"]
        assert (two[0].due, two[0].attempts) == (NOW - 9, 1)

    async def test_claimed_task_is_free_again_when_its_lease_is_over(self, store: Store) -> None:
        await write(store, ("wake", ("Run", "a", NOW)))
        await store.transact(claiming())
        await write(store, ("wake", ("Run", "b", NOW + 5)))
        assert await store.transact(claiming(NOW + 3)) == []
        assert await store.read(lambda tx: tx.next_due()) == NOW + 5
        again, other = await store.transact(claiming(NOW + 10, owner="w2"))
        assert (again.name, again.due, again.attempts, other.name) == ("a", NOW, 2, "b")

    async def test_worker_whose_claim_was_taken_over_is_fenced(self, store: Store) -> None:
        await write(store, ("wake", ("Run", "a", NOW)))
        (old,) = await store.beside(claiming())
        (new,) = await store.beside(claiming(NOW + 11, owner="w2"))
        assert new.token > old.token
        for late in (("finish", (old, None)), ("fail", (old, "x", None, NOW))):
            with pytest.raises(Fenced, match="Run a"):
                await write(store, late)
        await write(store, ("finish", (new, None)))
        assert await store.beside(claiming(NOW + 99)) == []

    async def test_restarted_worker_goes_on_at_once_with_what_it_had(self, store: Store) -> None:
        await write(store, ("wake", ("Run", "a", NOW)), ("acquire", ("x", "w1", NOW, 9.0)))
        (old,) = await store.beside(claiming())
        await write(store, ("release", ("w1",)))
        (again,) = await store.beside(claiming())
        assert (again.due, again.token > old.token) == (NOW, True)
        await write(store, ("acquire", ("x", "w2", NOW, 9.0)))

    async def test_head_start_goes_first_until_others_waited_longer(self, store: Store) -> None:
        await write(
            store, ("wake", ("Run", "slow", NOW - 40)), ("wake", ("Run", "fast", NOW, 30.0))
        )
        await write(store, ("wake", ("Run", "new", NOW - 20)))
        tasks = await store.beside(claiming())
        assert [task.name for task in tasks] == ["slow", "fast", "new"]

    async def test_nothing_is_claimed_or_taken_while_paused(self, store: Store) -> None:
        await asking(store, "k")
        await write(store, ("wake", ("Run", "a", NOW)), ("pause", ("moving",)))
        assert await store.read(lambda tx: tx.paused()) == "moving"
        assert await store.beside(claiming()) == await taking(store) == []
        await write(store, ("resume", ()))
        assert len(await store.beside(claiming())) == len(await taking(store)) == 1

    async def test_turn_that_fails_for_good_is_a_dead_letter(self, store: Store) -> None:
        await write(store, ("wake", ("Run", "a", NOW)))
        for attempt, due in ((1, NOW), (2, None)):
            (task,) = await store.beside(claiming())
            assert task.attempts == attempt
            await write(store, ("fail", (task, "it is broken", due, NOW)))
        assert await store.beside(claiming(NOW + 1e6)) == []
        (letter,) = await store.read(lambda tx: tx.dead_letters())
        assert (letter.queue, letter.subject, letter.attempts) == ("turns", "Run/a", 2)
        assert letter.error == "it is broken"
        await write(store, ("wake", ("Run", "a", NOW)))
        (task,) = await store.beside(claiming())
        await write(store, ("finish", (task, None)))
        assert await store.read(lambda tx: tx.dead_letters()) == []
        with pytest.raises(NotFound, match="Run/a"):
            await write(store, ("unbury", ("turns", "Run/a")))

    async def test_task_cannot_be_finished_twice(self, store: Store) -> None:
        await write(store, ("wake", ("Run", "a", NOW)))
        (task,) = await store.transact(claiming())
        await write(store, ("finish", (task, None)))
        with pytest.raises(Fenced):
            await write(store, ("finish", (task, None)))

    @pytest.mark.parametrize(
        ("woken", "asked", "expected"),
        [
            (NOW + 1, None, NOW + 1),
            (NOW + 1, NOW + 60, NOW + 1),
            (NOW + 90, NOW + 60, NOW + 60),
            (None, NOW + 60, NOW + 60),
            (None, None, None),
        ],
    )
    async def test_wake_during_a_claim_is_kept_if_it_is_earlier(
        self, store: Store, woken: float | None, asked: float | None, expected: float | None
    ) -> None:
        await write(store, ("wake", ("Run", "a", NOW)))
        (task,) = await store.transact(claiming())
        if woken is not None:
            await write(store, ("wake", ("Run", "a", woken)))
        assert await store.transact(claiming(NOW + 2)) == []
        await write(store, ("finish", (task, asked)))
        assert await store.read(lambda tx: tx.next_due()) == expected
        if expected is not None:
            (again,) = await store.transact(claiming(expected))
            assert (again.due, again.attempts) == (expected, 1)

    async def test_earlier_wake_wins(self, store: Store) -> None:
        assert await store.read(lambda tx: tx.next_due()) is None
        for due, expected in ((NOW + 9, NOW + 9), (NOW + 3, NOW + 3), (NOW + 5, NOW + 3)):
            await write(store, ("wake", ("Run", "a", due)))
            assert await store.read(lambda tx: tx.next_due()) == expected

    async def test_claimed_task_is_next_due_when_its_lease_ends(self, store: Store) -> None:
        await write(store, ("wake", ("Run", "a", NOW)))
        await store.transact(claiming())
        assert await store.read(lambda tx: tx.next_due()) == NOW + 10

    async def test_held_lease_names_its_holder(self, store: Store) -> None:
        await write(store, ("acquire", ("line", "host-1", NOW, 15.0)))
        with pytest.raises(Conflict, match=r"host-1.*15 s"):
            await write(store, ("acquire", ("line", "host-2", NOW, 15.0)))

    async def test_every_acquisition_draws_a_greater_token(self, store: Store) -> None:
        first = await write(store, ("acquire", ("line", "host-1", NOW, 15.0)))
        again = await write(store, ("acquire", ("line", "host-1", NOW + 1, 15.0)))
        other = await write(store, ("acquire", ("line", "host-2", NOW + 16, 15.0)))
        another = await write(store, ("acquire", ("another", "host-1", NOW, 15.0)))
        tokens = first + again + other + another
        assert tokens == sorted(set(tokens))

    async def test_tokens_are_drawn_above_what_the_world_has_seen(self, store: Store) -> None:
        await write(store, ("draw_above", (5000,)), ("draw_above", (7,)))
        (token,) = await write(store, ("acquire", ("line", "host-1", NOW, 15.0)))
        assert token > 5000

    async def test_renewed_lease_holds_longer_and_a_lost_one_is_fenced(self, store: Store) -> None:
        (old,) = await write(store, ("acquire", ("line", "host-1", NOW, 15.0)))
        await write(store, ("renew", ("line", old, NOW + 10, 15.0)))
        with pytest.raises(Conflict):
            await write(store, ("acquire", ("line", "host-2", NOW + 16, 15.0)))
        (new,) = await write(store, ("acquire", ("line", "host-2", NOW + 25, 15.0)))
        with pytest.raises(Fenced, match="line"):
            await write(store, ("renew", ("line", old, NOW + 26, 15.0)))
        with pytest.raises(Fenced, match="is over"):
            await write(store, ("check_lease", ("line", old)))
        await write(store, ("check_lease", ("line", new)))
        (row,) = await store.read(lambda tx: tx.leases())
        assert row == ("line", "host-2", new, NOW + 40)


class ActionsOfStore:
    """Who performs which intent, and how many at once."""

    async def test_intent_is_taken_once_with_a_token_of_its_own(self, store: Store) -> None:
        await asking(store, "a", "b")
        taken = await taking(store)
        assert [one.row.key for one in taken] == ["a", "b"]
        assert all(one.owner == "w1" and one.token > 1 for one in taken)
        assert await taking(store, owner="w2") == []

    async def test_dead_workers_intents_are_taken_and_its_late_outcome_refused(
        self, store: Store
    ) -> None:
        await asking(store, "a")
        (old,) = await taking(store)
        assert await taking(store, owner="w2", now=NOW + 9) == []
        (new,) = await taking(store, owner="w2", now=NOW + 10)
        assert new.token > old.token
        with pytest.raises(Fenced, match="another worker"):
            await write(store, ("set_outcome", ("a", old.token, Done(), NOW)))
        with pytest.raises(Fenced, match="another worker"):
            await write(store, ("retake", ("a", old.token)))
        (newer,) = await write(store, ("retake", ("a", new.token)))
        assert newer > new.token
        await write(store, ("set_outcome", ("a", newer, Done(), NOW)))

    async def test_no_more_go_on_at_once_than_the_limit_says(self, store: Store) -> None:
        await asking(store, "a", "b", "c")
        two = {"Notify": Limit(at_once=2)}
        first, _ = await taking(store, two)
        assert await taking(store, two, owner="w2") == []
        await write(store, ("set_outcome", ("a", first.token, Done(), NOW)))
        assert [one.row.key for one in await taking(store, two, owner="w2")] == ["c"]

    async def test_no_more_begin_in_a_time_than_the_rate_says(self, store: Store) -> None:
        await asking(store, *"abcde")
        rate = {"Notify": Limit(per_second=0.5, burst=2)}
        begun = [
            len(await taking(store, rate, now=now))
            for now in (NOW, NOW + 1, NOW + 2, NOW + 2, NOW + 3600)
        ]
        assert begun == [2, 0, 1, 0, 2]

    async def test_group_is_performed_one_at_a_time_in_order(self, store: Store) -> None:
        for key in ("z", "a"):
            await asking(store, key, place=Place(queue="Notify", group="db"))
        await asking(store, "m")
        first, other = await taking(store)
        assert {first.row.key, other.row.key} == {"z", "m"}
        (held,) = [one for one in (first, other) if one.row.key == "z"]
        await write(store, ("set_outcome", ("z", held.token, Done(), NOW)))
        assert [one.row.key for one in await taking(store)] == ["a"]

    async def test_urgent_intent_goes_first_until_others_waited_longer(self, store: Store) -> None:
        await asking(store, "old", now=NOW - 100)
        await asking(store, "plain", now=NOW - 1)
        await asking(store, "urgent", place=Place(queue="Notify", ahead_seconds=60))
        assert [one.row.key for one in await taking(store)] == ["old", "urgent", "plain"]

    async def test_only_named_queues_are_taken_from(self, store: Store) -> None:
        await asking(store, "a")
        queues = {"RunJob": Limit()}
        assert not await store.read(lambda tx: tx.takeable(queues, NOW))
        assert await taking(store, queues) == []
        assert await store.read(lambda tx: tx.takeable({"Notify": Limit()}, NOW))


async def asking(store: Store, *keys: str, place: Place = NOTICES, now: float = NOW) -> None:
    """Ask for actions of one object."""
    await write(
        store,
        ("create", (hold("asker"), "u1", NOW)),
        *(("ask", ("u1", notice(key), 1, now, place)) for key in keys),
    )


async def taking(
    store: Store,
    queues: dict[str, Limit] | None = None,
    *,
    owner: str = "w1",
    now: float = NOW,
) -> list[PendingAction]:
    """Take actions as a worker whose lease lasts ten seconds from the start."""

    def take(tx: Tx) -> list[PendingAction]:
        name = f"worker/{owner}"
        if name not in [lease for lease, *_ in tx.leases()]:
            tx.acquire(name, owner, now, 10.0)
        return tx.take_actions(owner, queues or {"Notify": Limit()}, now, 10)

    return await store.transact(take)
