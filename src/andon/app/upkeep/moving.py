"""Takes a running installation from its SQLite file to Postgres.

The copy is filled and proven in one transaction of the target, then a private file names the target,
then the old file is marked. Whatever is killed in between, the installation is on exactly one of them,
and the next attempt starts the copy over or finds it done.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from pathlib import Path

from andon.app.home import Home
from andon.app.installation import Installation, Json, Say
from andon.app.place import SQLITE, choose_database, chosen_database, without_password
from andon.domains.line import events
from andon.kernel.errors import AndonError, Conflict, TimedOut, Unavailable, UsageError
from andon.ports.store import Store, Tx
from andon.store import dialect_of, is_postgres, open_store
from andon.store.copying import ORIGIN, expect_room, fill, freeze, snapshot, tables, thaw

MOVING = "the installation moves to another database"
"""Why nothing is claimed meanwhile; found at a start, the move was broken off."""
COPY = "this is a copy that `andon admin migrate` made; the installation has not moved to it"
MOVED = "moved_to"
"""Setting of a file that was left: where to."""
DRAIN_POLL_SECONDS = 0.05


def origin_of(here: Home) -> str:
    """Name copies of this installation."""
    return f"move/{here.id}"


class Move:
    """One migration.

    Args:
        installation: This process.
        store: What it is on now.
        state: The state folder.
        here: Its identity.
        given: ``--database`` or ANDON_DATABASE_URL, if one was given.
    """

    def __init__(
        self, installation: Installation, store: Store, state: Path, here: Home, given: str
    ) -> None:
        self._installation = installation
        self._store = store
        self._state = state
        self._origin = origin_of(here)
        self._given = given
        self._stopped = threading.Event()

    def check(self, to: str) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: That is no server.
            Conflict: It is on Postgres already, or its start says where it is.
        """
        if not is_postgres(to):
            raise UsageError(
                f"{without_password(to)!r} is not a Postgres server's address",
                hint="andon admin migrate --to postgresql://user@host/database",
            )
        if is_postgres(self._given or chosen_database(self._state)):
            raise Conflict("this installation is on Postgres already")
        if self._given:
            raise Conflict(
                "this control plane was told its database at its start, and would be again",
                hint="start it without --database and ANDON_DATABASE_URL, then migrate",
            )

    async def run(self, to: str, by: str, wait_seconds: float, say: Say) -> Json:
        """Move; nothing has changed if it fails.

        Args:
            to: Address of an empty database.
            by: Who asks.
            wait_seconds: Longest wait for what is under way; it is done again over there.
            say: Told how far it is.
        """
        say("looks at the new database")
        await asyncio.to_thread(expect_room, dialect_of(to), self._origin)
        before = await self._store.read(lambda tx: tx.paused())
        if before and before != MOVING:
            raise Conflict(f"work is paused: {before}", hint="`andon admin resume` first")
        try:
            await self._store.transact(lambda tx: tx.pause(MOVING))
            await self._drained(wait_seconds, say)
            why = Unavailable(
                "Andon moves to Postgres, nothing is written meanwhile", hint="a minute later"
            )
            await freeze(self._store, why)
            answer = await asyncio.to_thread(self._copy, to, by, say)
            choose_database(self._state, to)
        except BaseException:
            self._stopped.set()
            thaw(self._store)
            with contextlib.suppress(AndonError):
                await asyncio.shield(self._store.transact(lambda tx: tx.resume()))
            raise
        say("goes on over there")
        await self._installation.switch()
        return answer

    async def _drained(self, wait_seconds: float, say: Say) -> None:
        deadline = time.monotonic() + wait_seconds
        while busy := await self._store.read(_busy):
            if time.monotonic() > deadline:
                return
            say(f"waits for {busy} under way")
            await asyncio.sleep(DRAIN_POLL_SECONDS)

    def _copy(self, to: str, by: str, say: Say) -> Json:
        began = time.monotonic()

        def progress(table: str, rows: int) -> None:
            if self._stopped.is_set():
                raise TimedOut("the control plane was stopped")
            say(f"copies {table}: {rows} of {counts[table]} rows")

        with snapshot(self._store) as seen:
            say("verifies the ledger")
            seen.verify()
            counts = {table.name: seen.count(table) for table in tables()}
            sums = fill(
                dialect_of(to),
                ((table, seen.rows(table)) for table in tables()),
                source=seen.source,
                token=seen.token,
                origin=self._origin,
                settle=lambda tx: _settle(tx, to, by, counts["event"]),
                progress=progress,
            )
        return {
            "to": without_password(to),
            "kept": str(self._state / SQLITE),
            "tables": {name: one.rows for name, one in sums.items()},
            "events": sums["event"].rows,
            "seconds": round(time.monotonic() - began, 3),
        }


def _busy(tx: Tx) -> int:
    now = tx.now()
    alive = {owner for name, owner, _, until in tx.leases() if until > now}
    return sum(one.owner in alive for one in tx.unfinished())


def _settle(tx: Tx, to: str, by: str, count: int) -> None:
    now = tx.now()
    tx.pause(COPY)
    moved = events.extension(
        "installation",
        "moved",
        id=f"installation/moved/{now:.6f}",
        stream="org",
        about="andon",
        data={"by": by, "from": "sqlite", "to": without_password(to), "events": count},
    )
    tx.append(moved, now)


async def settle_in(store: Store, state: Path, here: Home, url: str) -> None:
    """Finish a move that led here, or forget one that was broken off.

    Args:
        store: The database that is used now.
        state: The state folder.
        here: Its identity.
        url: Where that database is.

    Raises:
        Conflict: The installation has moved away from this database.
    """
    moved = await store.read(lambda tx: tx.get_setting(MOVED))
    if moved:
        raise Conflict(
            f"this installation has moved to {moved}: {without_password(url)} is what it left",
            hint="start it without --database and ANDON_DATABASE_URL; to go back on purpose, restore a backup",
        )
    if await store.read(lambda tx: tx.paused()) == MOVING:
        await store.transact(lambda tx: tx.resume())
    origin = await store.read(lambda tx: tx.get_setting(ORIGIN))
    if origin != origin_of(here) or url != chosen_database(state):
        return
    await _mark(state / SQLITE, without_password(url))

    def adopt(tx: Tx) -> None:
        tx.put_setting(ORIGIN, "")
        tx.resume()

    await store.transact(adopt)


async def _mark(file: Path, to: str) -> None:
    """Write into the old file where its installation has gone."""
    if not file.exists():
        return
    left = open_store(str(file), source="")
    try:
        await left.transact(lambda tx: tx.put_setting(MOVED, to))
    finally:
        left.close()
