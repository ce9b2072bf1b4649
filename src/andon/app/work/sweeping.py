"""Retention: what is over is forgotten; the ledger keeps its story."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator

from andon.api.v1.control import Selector
from andon.api.v1.records import TERMINAL, EnvironmentRecordStatus, Object
from andon.app.access.sweeping import sweep_access
from andon.app.queries import active_runs
from andon.app.telemetry import alerting
from andon.app.workers import leases
from andon.domains.line.events import extension
from andon.kernel.errors import AndonError
from andon.ports.store import Store, Tx
from andon.runtime.singleton import Guard

log = logging.getLogger("andon.sweeper")

KEEP_DAYS = 90.0
NEWEST_KEPT = 50
"""So many Changes are kept however old they are."""
AT_ONCE = 20
PAUSE_SECONDS = 3600.0
TREES_KEPT_DAYS = 3.0
"""Work trees of Runs that are over stay so long, for whoever wants to look into one."""

_PARTS = ("Run", "Evidence", "Approval", "Artifact", "Incident", "JobResult")


def sweep(tx: Tx, before: float) -> int:
    """Forget a few Changes, with their Runs and Evidence, that ended before a moment.

    What runs, what a rollback would go back to, what is latched and the newest Changes stay.

    Args:
        tx: A writing transaction.
        before: Seconds since the Unix epoch.

    Returns:
        How many objects were forgotten.
    """
    kept = _kept(tx)
    gone = 0
    for change in _old(tx, before, kept):
        parts = [change, *_parts(tx, change)]
        for one in parts:
            tx.forget(one)
        gone += len(parts)
        tx.append(
            extension(
                "retention",
                "swept",
                id=f"swept/{change.uid}",
                stream="org",
                about=change.name,
                data={"objects": len(parts), "before": before},
            ),
            tx.now(),
        )
    return gone


def _old(tx: Tx, before: float, kept: set[str]) -> Iterator[Object]:
    held = {hold.spec.scope.digest for hold in tx.list(_active("Hold"))} - {""}
    found = 0
    for change in tx.list(Selector(kind="Change"), limit=AT_ONCE * 10):
        if change.created_at >= before or found == AT_ONCE:
            return
        parts = _parts(tx, change)
        digests = {one.spec.digest for one in parts if one.kind == "Artifact"}
        if change.name in kept or digests & held or not _is_over([change, *parts], before):
            continue
        found += 1
        yield change


def _parts(tx: Tx, change: Object) -> list[Object]:
    labels = {"change": change.name}
    return [one for kind in _PARTS for one in tx.list(Selector(kind=kind, labels=labels))]


def _is_over(objects: list[Object], before: float) -> bool:
    over = TERMINAL | {"Resolved", ""}
    return all(
        one.created_at < before and getattr(one.status, "phase", "") in over for one in objects
    )


def _kept(tx: Tx) -> set[str]:
    newest = tx.list(Selector(kind="Change"), limit=NEWEST_KEPT, newest_first=True)
    kept = {change.name for change in newest}
    for environment in tx.list(Selector(kind="Environment")):
        status: EnvironmentRecordStatus = environment.status
        kept |= {version.change for version in status.services.values()}
        for run in (*status.runs.values(), *status.previous.values()):
            found = tx.get("Run", run)
            kept |= {found.spec.change, found.spec.rollout.version.change} if found else set()
    return kept


def _active(kind: str) -> Selector:
    return Selector(kind=kind, labels={"state": "active"})


async def keep_sweeping(store: Store, keep_days: float, guard: Guard) -> None:
    """Sweep now and then, until cancelled.

    Args:
        store: The durable store.
        keep_days: How long ended Changes are kept; 0: for ever.
        guard: Refuses when another worker sweeps.
    """

    def changes(tx: Tx) -> int:
        guard(tx)
        before = tx.now() - keep_days * 86400
        return sweep(tx, before) + alerting.sweep(tx, before) if keep_days else 0

    def access(tx: Tx) -> int:
        guard(tx)
        return sweep_access(tx, tx.now()) + leases.sweep(tx, tx.now())

    while True:
        try:
            while gone := await store.transact(changes):
                log.info("%d objects of what ended long ago are forgotten", gone)
            while gone := await store.transact(access):
                log.info(
                    "%d sessions, requests, tokens and answers that are over are forgotten", gone
                )
        except AndonError as error:
            if not error.retry:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


async def keep_clearing(
    store: Store, clear: Callable[[Collection[str], float], None], guard: Guard
) -> None:
    """Remove old work trees of jobs now and then, until cancelled.

    Args:
        store: The durable store.
        clear: Removes trees of other Runs than these uids, begun before a moment.
        guard: Refuses when another worker does this.
    """

    def needed(tx: Tx) -> tuple[set[str], float]:
        guard(tx)
        return {run.uid for run in active_runs(tx)}, tx.now() - TREES_KEPT_DAYS * 86400

    while True:
        try:
            uids, before = await store.read(needed)
            await asyncio.to_thread(clear, uids, before)
        except OSError as error:
            log.warning("work trees cannot be removed: %s", error)
        except AndonError as error:
            if not error.retry:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
