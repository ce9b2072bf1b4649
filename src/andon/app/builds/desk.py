"""Builds as people look at them: ``BuildService`` over the store, the agent's logs and the blobs."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Protocol

import msgspec

from andon.api.v1 import answers
from andon.api.v1.actions import CaseDone
from andon.api.v1.records import ENDED_STEP, StepRow
from andon.app import queries
from andon.app.builds import speed, states
from andon.app.builds.graph import graph
from andon.app.builds.logs import FoundLog, Logs, Read
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, NotFound
from andon.ports.store import Store, Tx

MOST_FAILURES = 200
_MOST_CASES = 200_000
_MOST_KEPT = 256
_LONGEST_LINE_BYTES = 64 * 1024
_BAD = frozenset({"failed", "error"})


class Blobs(Protocol):
    """Where results of tests are kept."""

    def get(self, digest: str) -> bytes:
        """Return a blob."""
        ...


class Builds:
    """Shows builds.

    Args:
        store: The durable store.
        read: Reads a piece of a log: name, offset, most bytes.
        blobs: Where results of tests are kept.
        clock: The time.
    """

    def __init__(self, store: Store, read: Read, blobs: Blobs, clock: Clock) -> None:
        self._store = store
        self._logs = Logs(read)
        self._blobs = blobs
        self._clock = clock
        self._failed: OrderedDict[str, tuple[CaseDone, ...]] = OrderedDict()

    async def graph(self, run: str) -> answers.RunGraph:
        """Return a Run with its jobs, its critical path and what failed."""
        now = self._clock.now()

        def look(tx: Tx) -> tuple[answers.RunGraph, list[StepRow]]:
            found = queries.run(tx, run)
            rows = tx.steps(found.uid)
            change = tx.get("Change", found.spec.change) if found.spec.change else None
            return graph(found, rows, change, now), rows

        told, rows = await self._store.read(look)
        told["failures"] = await asyncio.to_thread(self._failures, rows)
        return told

    def _failures(self, rows: Sequence[StepRow]) -> list[answers.TestFailure]:
        """Return the failed tests of jobs that did not pass."""
        bad = [row for row in rows if row.state in ("failed", "quarantined")]
        return list(islice((one for row in bad for one in self._failures_of(row)), MOST_FAILURES))

    def _failures_of(self, row: StepRow) -> Iterable[answers.TestFailure]:
        for blob in (row.figures.get("tests") or {}).get("cases", ()):
            for case in self._bad_cases(blob):
                yield {
                    "job": row.name,
                    "id": case.id,
                    "message": case.message,
                    "file": case.file,
                    "line": case.line,
                }

    def _bad_cases(self, blob: str) -> tuple[CaseDone, ...]:
        if blob not in self._failed:
            self._failed[blob] = _read_bad(self._blobs, blob)
            while len(self._failed) > _MOST_KEPT:
                self._failed.popitem(last=False)
        return self._failed[blob]

    async def outline(self, run: str, *, step: str) -> answers.LogOutline:
        """Say how long a step's log is, and what folds in it."""
        return await self._logs.outline(await self._find(run, step))

    async def lines(self, run: str, *, step: str, first: int, count: int) -> answers.LogLines:
        """Return a page of a step's log."""
        return await self._logs.lines(await self._find(run, step), first, count)

    async def search(self, run: str, *, step: str, text: str, first: int) -> answers.LogSearch:
        """Find a text in a step's log, from a line on."""
        return await self._logs.search(await self._find(run, step), text, first)

    async def raw(self, run: str, *, step: str, offset: int) -> AsyncIterator[bytes]:
        """Return a step's log as it is, piece by piece."""
        return self._logs.raw(await self._find(run, step), offset)

    async def _find(self, run: str, step: str) -> FoundLog:
        return await self._store.read(lambda tx: find_log(tx, run, step))

    async def feedback(self, repository: str) -> answers.Feedback:
        """Say how fast the feedback of a repository is."""
        now = self._clock.now()
        return await self._store.read(lambda tx: speed.feedback(tx, repository, now))

    async def repositories(self) -> list[answers.RepositoryRow]:
        """List repositories and how their branches stand."""
        return await self._store.read(states.repositories)

    async def repository(self, name: str) -> answers.RepositoryRow:
        """Say how a repository's branches stand."""
        return await self._store.read(lambda tx: states.repository(tx, name))

    async def state_of(self, name: str) -> answers.BuildState:
        """Say how a repository stands, or a branch of it."""
        return await self._store.read(lambda tx: states.state_of(tx, name))


def find_log(tx: Tx, run: str, step: str) -> FoundLog:
    """Find the log of a step.

    Raises:
        NotFound: There is no such step.
    """
    found = queries.run(tx, run)
    rows = {row.name: row for row in tx.steps(found.uid)}
    if step not in rows:
        known = ", ".join(list(rows)[:20]) or "none yet"
        raise NotFound(f"{found.name} has no step {step}", hint=f"its steps: {known}")
    row = rows[step]
    # Jobs around a deployment carry their side as a prefix.
    job = step if found.spec.rollout is None else step.partition("-")[2] or step
    file = row.log or f"{found.name}/{job}-{row.attempt}.log"
    return FoundLog(found.name, step, file, row.state in ENDED_STEP)


def _read_bad(blobs: Blobs, digest: str) -> tuple[CaseDone, ...]:
    """Return the tests that failed; what cannot be read tells nothing."""
    found: list[CaseDone] = []
    decoder = msgspec.json.Decoder(CaseDone)
    try:
        with gzip.open(io.BytesIO(blobs.get(digest))) as lines:
            for _ in range(_MOST_CASES):
                line = lines.readline(_LONGEST_LINE_BYTES)
                if not line or len(found) >= MOST_FAILURES:
                    break
                case = decoder.decode(line)
                if case.state in _BAD:
                    found.append(case)
    except (AndonError, OSError, EOFError, zlib.error, msgspec.DecodeError):
        pass
    return tuple(found)
