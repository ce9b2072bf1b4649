"""What every Store must do for subscribers of the ledger."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

from msgspec.structs import replace

from andon.ports.store import DeadLetter, Delivering, Store, Subscriber, Subscription

ONE = Subscriber(
    spec=Subscription(name="one", url="https://example.com/", types=("a.", "b."), secrets=("s",)),
    cursor=7,
    status=Delivering(attempts=2, error="grün", next_at=1.5),
)


async def _put(store: Store, one: Subscriber) -> None:
    await store.transact(lambda tx: tx.put_subscriber(one))


async def _bury(store: Store, letter: DeadLetter) -> None:
    await store.transact(lambda tx: tx.bury(letter))


class OutboxOfStore:
    """Fixture to provide: ``store``, open and empty."""

    async def test_subscribers_are_kept_as_written_and_listed_by_name(self, store: Store) -> None:
        other = replace(ONE, spec=replace(ONE.spec, name="another"), cursor=0)
        for one in (ONE, other, replace(ONE, cursor=8)):
            await _put(store, one)
        assert await store.read(lambda tx: tx.subscribers()) == [other, replace(ONE, cursor=8)]
        assert await store.read(lambda tx: tx.subscriber("nobody")) is None

    async def test_subscriber_is_forgotten_with_its_dead_letters(self, store: Store) -> None:
        letters = [
            DeadLetter(queue=f"subscription/{name}", subject="e", error="no", attempts=1, at=1.0)
            for name in ("one", "two")
        ]
        await _put(store, ONE)
        for letter in letters:
            await _bury(store, letter)
        await store.transact(lambda tx: tx.remove_subscriber("one"))
        assert await store.read(lambda tx: tx.subscribers()) == []
        assert await store.read(lambda tx: tx.dead_letters()) == letters[1:]
