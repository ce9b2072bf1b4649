"""Verifying a ledger: in one snapshot, or, where it is long, in several processes.

Two hashes an event keep a core busy; in a process of their own they keep neither the line waiting nor
each other.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import msgspec
from msgspec import Struct

from andon.kernel.errors import Unavailable
from andon.ports.store import Segment, Tx, Verification
from andon.store.events import LOWEST
from andon.store.transaction import Transaction
from andon.store.verification import Part, joined, verify

LARGE_EVENTS = 50_000
MOST_PROCESSES = 4


class Extent(Struct):
    """What there is to verify, and where it must end."""

    heads: dict[str, tuple[int, str]]
    last_seq: int
    segments: list[Segment]

    @property
    def is_large(self) -> bool:
        """Whether processes of its own are worth their start."""
        return self.last_seq > LARGE_EVENTS


class Order(Struct):
    """A part for one process: rows behind ``after`` up to ``upto``."""

    url: str
    after: int
    upto: int


def extent_of(tx: Tx) -> Extent:
    """Say what there is to verify."""
    return Extent(tx.heads(), tx.last_seq(), tx.segments())


def verify_ledger(tx: Tx) -> Verification:
    """Recompute every chain of the ledger in this snapshot, without holding it in memory."""
    extent = extent_of(tx)
    rows = cast(Transaction, tx).raw_events()
    return verify(rows, extent.heads, extent.last_seq, extent.segments)


def verify_in_processes(url: str, extent: Extent) -> Verification:
    """Recompute every chain, a part of the ledger in each process.

    Args:
        url: Of the database.
        extent: What was there when this was asked.

    Raises:
        Unavailable: A process could not do its part.
    """
    orders = _split(url, extent.last_seq, min(os.cpu_count() or 1, MOST_PROCESSES))
    with ThreadPoolExecutor(len(orders)) as pool:
        parts: Sequence[Part] = list(pool.map(_ordered, orders))
    return joined(parts, extent.heads, extent.last_seq, extent.segments)


def _split(url: str, last_seq: int, count: int) -> list[Order]:
    ends = [last_seq * number // count for number in range(count + 1)]
    ends[0] = LOWEST  # A row that was put before the first one is found, too.
    return [Order(url, after, upto) for after, upto in itertools.pairwise(ends)]


def _ordered(order: Order) -> Part:
    done = subprocess.run(
        [sys.executable, "-m", "andon.store.scan"],
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"the ledger could not be verified: {''.join(said)}")
    return msgspec.json.decode(done.stdout, type=Part)
