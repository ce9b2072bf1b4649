"""Appends against the floor of the same disk, and how fast a ledger is verified.

The floor is the standard library's sqlite3 inserting the same finished rows, links too, into the same
tables with the same indexes by ``executemany``, a hundred events a commit at synchronous FULL: no JSON,
no hash, no chain, no duplicates looked for, nobody waiting for an answer. Against it 256 producers
append an event each and wait until it is on disk, again and again. For comparison the floor is also
measured with commits as large as our groups. Runs alternate and each side counts its best, so that a
busy machine harms both.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import astuple, replace

from andon.api.v1.control import Event, Link
from andon.ports.store import LedgerRow, Store, Tx
from andon.store import open_store
from andon.store.database import LARGEST_GROUP
from andon.store.parallel import MOST_PROCESSES
from andon.store.schema import statements
from bench.ratio import Ratio

ROUNDS = 5
PRODUCERS = 256
EVENTS_EACH = 64
BATCH = 100
LEDGER_EVENTS = 600_000
FILL = 10_000
NOW = 1_700_000_000.0
APPEND_BAR = 0.5
VERIFY_BAR = 300_000


INSERT_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_LINK = "INSERT INTO link VALUES (?, ?, ?)"


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
    appended, floor, large = 0.0, 0.0, 0.0
    for _ in range(ROUNDS):
        # In the work folder, not in /tmp, which may be memory: both sides on the same disk.
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
            speed, row = asyncio.run(_append(Path(folder)))
            appended = max(appended, speed)
            floor = max(floor, _insert(Path(folder) / "plain.db", row, BATCH))
            large = max(large, _insert(Path(folder) / "large.db", row, LARGEST_GROUP))
    yield Ratio(f"{PRODUCERS} producers, group commit", appended, 0, "events/s")
    yield Ratio(f"plain sqlite3, {BATCH} events a commit", floor, 0, "events/s")
    yield Ratio("group commit / plain batches", appended / floor, APPEND_BAR)
    yield Ratio(f"group commit / plain batches of {LARGEST_GROUP}", appended / large, 0)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        yield Ratio(
            f"verification, {os.cpu_count()} cores",
            asyncio.run(_verify(Path(folder))),
            VERIFY_BAR,
            "events/s",
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


def _insert(file: Path, row: LedgerRow, batch: int) -> float:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for statement in statements():
        connection.execute(statement)
    count = PRODUCERS * EVENTS_EACH
    ids = [f"{number}/{n}" for n in range(EVENTS_EACH) for number in range(PRODUCERS)]
    rows = [astuple(replace(row, seq=n, n=n, id=id)) for n, id in enumerate(ids, 1)]
    links = [(id, "run/r1/started", "TRIGGER") for id in ids]
    started = time.perf_counter()
    for first in range(0, count, batch):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT_EVENT, rows[first : first + batch])
        connection.executemany(INSERT_LINK, links[first : first + batch])
        connection.execute("COMMIT")
    took = time.perf_counter() - started
    connection.close()
    return count / took


async def _verify(folder: Path) -> float:
    store = open_store(str(folder / "ours.db"), source="/andon/bench")
    for start in range(0, LEDGER_EVENTS, FILL):
        await store.transact(_filling(start))
    best = 0.0
    for _ in range(ROUNDS):
        best = max(best, await _verify_once(store))
    store.close()
    return best


def _filling(start: int):
    def fill(tx: Tx) -> None:
        for n in range(start, start + FILL):
            tx.append(event(str(n), f"env/{n % 4}"), NOW + n)

    return fill


async def _verify_once(store: Store) -> float:
    before = _processor_seconds()
    found = await store.verify()
    took = _processor_seconds() - before
    assert (found.events, found.findings) == (LEDGER_EVENTS, ())
    return found.events / took


def _processor_seconds() -> float:
    """Processor time of this process and, shared among the cores they ran on, of its children.

    On a machine that does nothing else this is the time that passes; what else it does is not ours.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cores = min(os.cpu_count() or 1, MOST_PROCESSES)
    return time.process_time() + (children.ru_utime + children.ru_stime) / cores
