"""Appends against the floor of the same disk, and how fast a ledger is verified.

The floor is the standard library's sqlite3 inserting the same finished rows into the same table with
the same indexes, a hundred a commit, at synchronous FULL: no JSON, no hash, no chain, no links, nobody
waiting for an answer. Runs alternate and each side counts its best, so that a busy machine harms both.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import astuple, replace

from andon.api.v1.control import Event, Link
from andon.ports.store import LedgerRow, Store, Tx
from andon.store import open_store, verify_ledger
from andon.store.schema import statements
from bench.ratio import Ratio

ROUNDS = 5
PRODUCERS = 16
EVENTS_EACH = 250
BATCH = 100
LEDGER_EVENTS = 50_000
NOW = 1_700_000_000.0
APPEND_BAR = 0.1
VERIFY_BAR = 100_000


def event(id: str, stream: str) -> Event:
    return Event(
        id=id,
        stream=stream,
        type="dev.cdevents.service.deployed.0.3.0",
        subject="shop",
        chain="c1",
        content={"environment": {"id": "prod"}, "artifactId": "pkg:oci/shop@sha256%3Aab"},
        links=(Link(target="run/r1/started"),),
        data={"configHash": "aaaaaaaaaaaa", "weight": 25.0},
    )


def measure() -> Iterator[Ratio]:
    appended, floor = 0.0, 0.0
    for _ in range(ROUNDS):
        # In the work folder, not in /tmp, which may be memory: both sides on the same disk.
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
            speed, row = asyncio.run(_append(Path(folder)))
            appended = max(appended, speed)
            floor = max(floor, _insert(Path(folder), row))
    yield Ratio(f"{PRODUCERS} producers, group commit", appended, 0, "events/s")
    yield Ratio(f"plain sqlite3, {BATCH} rows a commit", floor, 0, "rows/s")
    yield Ratio("group commit / plain batches", appended / floor, APPEND_BAR)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        yield Ratio(
            "verification on one core", asyncio.run(_verify(Path(folder))), VERIFY_BAR, "events/s"
        )


async def _append(folder: Path) -> tuple[float, LedgerRow]:
    store = open_store(str(folder / "ours.db"), source="/andon/bench")

    async def produce(number: int) -> None:
        for n in range(EVENTS_EACH):
            one = event(f"{number}/{n}", f"env/{number % 4}")
            await store.transact(lambda tx, one=one: tx.append(one, NOW))

    started = time.perf_counter()
    await asyncio.gather(*(produce(number) for number in range(PRODUCERS)))
    took = time.perf_counter() - started
    (row,) = await store.read(lambda tx: tx.events(limit=1))
    store.close()
    return PRODUCERS * EVENTS_EACH / took, row


def _insert(folder: Path, row: LedgerRow) -> float:
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for statement in statements():
        connection.execute(statement)
    count = PRODUCERS * EVENTS_EACH
    rows = [astuple(replace(row, seq=n, n=n, id=str(n))) for n in range(1, count + 1)]
    started = time.perf_counter()
    for first in range(0, count, BATCH):
        connection.execute("BEGIN IMMEDIATE")
        for one in rows[first : first + BATCH]:
            connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", one)
        connection.execute("COMMIT")
    took = time.perf_counter() - started
    connection.close()
    return count / took


async def _verify(folder: Path) -> float:
    store = open_store(str(folder / "ours.db"), source="/andon/bench")
    for start in range(0, LEDGER_EVENTS, 5_000):
        await store.transact(_filling(start))
    best = 0.0
    for _ in range(ROUNDS):
        best = max(best, await _verify_once(store))
    store.close()
    return best


def _filling(start: int):
    def fill(tx: Tx) -> None:
        for n in range(start, start + 5_000):
            tx.append(event(str(n), f"env/{n % 4}"), NOW + n)

    return fill


async def _verify_once(store: Store) -> float:
    # Processor time: one thread works, and what else the machine does is not this one's slowness.
    started = time.process_time()
    found = await store.read(verify_ledger)
    took = time.process_time() - started
    assert (found.events, found.findings) == (LEDGER_EVENTS, ())
    return found.events / took
