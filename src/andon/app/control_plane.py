"""The control plane as people and programs meet it: ``LineService`` over the store and the agent."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from andon import __version__
from andon.adapters.agentclient import AgentClient
from andon.adapters.outbound import LOCAL, Guard
from andon.api.v1.control import Selector
from andon.api.v1.records import ENDED_STEP, RolloutPlan
from andon.app import commands, queries, shipping
from andon.app.events.intake import Intake
from andon.app.events.sinks import sinks
from andon.app.events.subscriptions import Subscriptions
from andon.app.ledger.book import Book
from andon.app.shapes import (
    Json,
    agent_json,
    cancelled_json,
    change_json,
    event_body,
    event_json,
    hold_json,
    incident_json,
    object_json,
    run_json,
)
from andon.app.watches import Watches
from andon.app.why import explain, find_change
from andon.app.work import queue as letters
from andon.app.work.metrics import exposition
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, NotFound
from andon.ports import Source
from andon.ports.store import Store, Tx
from andon.runtime.engine import Engine
from andon.runtime.system import SystemRandomness
from andon.runtime.turns import Turns
from andon.store.transfer import links_of

PROGRESS_SECONDS = 1.0


class ControlPlane:
    """Answers for the line.

    Args:
        state: The state folder.
        store: The durable store.
        turns: The controllers, for what commands create.
        engine: The loop, for its epoch and problems.
        source: Where repositories are read.
        agent: The host agent.
        clock: The time.
        book: Keeps the ledger.
        notify: Webhooks told whenever the line stops.
        policy_branch: Branch that rules are read from.
        guard: Where calls to subscribers may lead.
    """

    def __init__(
        self,
        *,
        state: Path,
        store: Store,
        turns: Turns,
        engine: Engine,
        source: Source,
        agent: AgentClient,
        clock: Clock,
        book: Book,
        notify: tuple[str, ...] = (),
        policy_branch: str = "main",
        guard: Guard = LOCAL,
    ) -> None:
        self._state = state
        self._store = store
        self._turns = turns
        self._engine = engine
        self._source = source
        self._agent = agent
        self._clock = clock
        self.book = book
        self._notify = notify
        self._policy_branch = policy_branch
        self._started_at = clock.now()
        self.watching = Watches(store, source, clock, self._ship_seen)
        self.subscriptions = Subscriptions(store, clock, SystemRandomness(), sinks(clock, guard))
        self.intake = Intake(store, turns, clock)

    # --- shipping --------------------------------------------------------------------------------

    async def ship(self, *, repository: str, ref: str, until: str, by: str) -> Json:
        """Take a commit onto the line."""
        loaded = await self._load(repository, ref)
        change, created = await self._store.transact(
            lambda tx: shipping.put_change(
                tx,
                self._turns,
                loaded,
                until=until,
                notify=self._notify,
                by=by,
                now=self._clock.now(),
            )
        )
        return {
            "change": change.name,
            "sha": change.spec.sha,
            "message": change.spec.message,
            "created": created,
        }

    async def _ship_seen(self, repository: str, branch: str) -> None:
        await self.ship(repository=repository, ref=branch, until="", by="watch")

    async def _load(self, repository: str, ref: str) -> shipping.Loaded:
        key = shipping.policy_setting(repository)
        adopted = await self._store.read(lambda tx: tx.get_setting(key))
        return await asyncio.to_thread(
            shipping.load, self._source, repository, ref, adopted, self._policy_branch
        )

    async def diff(self, *, repository: str, ref: str, environment: str) -> Json:
        """Say what a ship would change in an environment."""
        loaded = await self._load(repository, ref)
        spec = shipping.change_spec(loaded, until="", notify=(), sequence=0)

        def answer(tx: Tx) -> Json:
            change = find_change(tx, spec.sha)
            labels = {"change": change.name} if change else {"change": "?"}
            built = tx.list(Selector(kind="Artifact", labels=labels))
            digests = {one.spec.service: one.spec.digest for one in built}
            return queries.diff(tx, spec, environment, digests)

        return await self._store.read(answer)

    # --- reading ---------------------------------------------------------------------------------

    async def status(self, *, environment: str = "") -> Json:
        """Say what runs where and what moves."""
        agent = await self._agent_status()
        now = self._clock.now()
        answer = await self._store.read(lambda tx: queries.status(tx, environment, agent, now))
        troubles = await self._store.read(letters.troubles)
        return {**answer, "problems": {**self._engine.problems, **troubles}}

    async def _agent_status(self) -> Json:
        try:
            return agent_json(await asyncio.wait_for(self._agent.status(), 2))
        except (AndonError, TimeoutError) as error:
            return {"agent": {"error": str(error) or "the agent does not answer"}}

    async def why(self, subject: str, *, environment: str = "") -> Json:
        """Explain what holds a subject and what would open it."""
        now = self._clock.now()
        return await self._store.read(lambda tx: explain(tx, subject, environment, now))

    async def runs(
        self, *, filters: Mapping[str, str], limit: int = 50, after: str = ""
    ) -> list[Json]:
        """List Runs, newest first."""
        return await self._store.read(lambda tx: queries.runs(tx, filters, limit, after))

    async def run(self, name: str) -> Json:
        """Return a Run with its steps."""
        return await self._store.read(lambda tx: queries.run_with_steps(tx, name))

    async def change(self, name: str) -> Json:
        """Return a Change with its Runs."""

        def answer(tx: Tx) -> Json:
            found = find_change(tx, name)
            if found is None:
                raise NotFound(f"there is no change {name}", hint="`andon status` lists them")
            return queries.change_with_runs(tx, found)

        return await self._store.read(answer)

    async def changes(self, *, limit: int = 50) -> list[Json]:
        """List Changes, newest first."""
        found = await self._store.read(
            lambda tx: tx.list(Selector(kind="Change"), limit=limit, newest_first=True)
        )
        return [change_json(one) for one in found]

    async def schedules(self) -> list[Json]:
        """List what is scheduled, the next one first."""
        return await self._store.read(queries.schedules)

    async def incidents(self) -> list[Json]:
        """List incidents, newest first."""
        found = await self._store.read(
            lambda tx: tx.list(Selector(kind="Incident"), newest_first=True)
        )
        return [incident_json(one) for one in found]

    async def objects(self, kind: str, *, labels: Mapping[str, str]) -> list[Json]:
        """List stored objects of a kind."""
        selector = Selector(kind=kind, labels=dict(labels))
        return [object_json(one) for one in await self._store.read(lambda tx: tx.list(selector))]

    async def object(self, kind: str, name: str) -> Json:
        """Return one stored object."""
        return object_json(await self._store.read(lambda tx: tx.require(kind, name)))

    async def log(self, run: str, *, step: str, offset: int = 0, max_bytes: int = 65536) -> Json:
        """Read a step's captured log."""

        def find(tx: Tx) -> tuple[str, str, bool]:
            found = queries.run(tx, run)
            rows = {row.name: row for row in tx.steps(found.uid)}
            if step not in rows:
                known = ", ".join(rows) or "none yet"
                raise NotFound(f"{found.name} has no step {step}", hint=f"its steps: {known}")
            row = rows[step]
            name = (
                row.log or f"{found.name}/{_job_name(found.spec.rollout, step)}-{row.attempt}.log"
            )
            return found.name, name, row.state in ENDED_STEP

        name, file, ended = await self._store.read(find)
        piece = await self._agent.tail_log(file, offset, max_bytes)
        return {
            "run": name,
            "step": step,
            "data": piece.data.decode(errors="replace"),
            "offset": offset,
            "next_offset": piece.next_offset,
            "ended": ended and not piece.data,
        }

    # --- the cord --------------------------------------------------------------------------------

    async def hold(
        self, *, scope: Mapping[str, str], reason: str, by: str, expires_seconds: float = 0
    ) -> Json:
        """Pull the cord."""
        now = self._clock.now()
        subject = commands.scope_from(dict(scope))
        expires_at = now + expires_seconds if expires_seconds else 0
        return hold_json(
            await self._store.transact(
                lambda tx: commands.pull(
                    tx,
                    self._turns,
                    subject,
                    reason=reason,
                    by=by,
                    expires_at=expires_at,
                    now=now,
                )
            )
        )

    async def lift(self, name: str, *, by: str, reason: str) -> Json:
        """Lift a Hold."""
        now = self._clock.now()
        return hold_json(
            await self._store.transact(
                lambda tx: commands.lift(tx, self._turns, name, by=by, reason=reason, now=now)
            )
        )

    async def unlatch(self, *, environment: str, subject: str, by: str, reason: str) -> Json:
        """Let what failed in an environment be tried again."""
        now = self._clock.now()
        lifted = await self._store.transact(
            lambda tx: commands.unlatch(
                tx, self._turns, environment, subject, by=by, reason=reason, now=now
            )
        )
        return {"lifted": [hold_json(hold) for hold in lifted]}

    async def rollback(self, *, environment: str, service: str, by: str, reason: str) -> Json:
        """Go back to the previous version."""
        now = self._clock.now()
        return run_json(
            await self._store.transact(
                lambda tx: commands.roll_back(
                    tx, self._turns, environment, service, by=by, reason=reason, now=now
                )
            )
        )

    async def cancel(self, run: str, *, by: str, reason: str) -> Json:
        """Have a Run end, with its clean-up."""
        now = self._clock.now()
        found, wish = await self._store.transact(
            lambda tx: commands.cancel(tx, self._turns, run, by=by, reason=reason, now=now)
        )
        return cancelled_json(found, wish, commands.outlook(found))

    async def approve(self, change: str, *, environment: str, by: str, reason: str) -> Json:
        """Record a person's consent."""
        now = self._clock.now()
        approval = await self._store.transact(
            lambda tx: commands.approve(
                tx, self._turns, change, environment, by=by, reason=reason, now=now
            )
        )
        return {
            "name": approval.name,
            "change": approval.spec.subject.change,
            "environment": environment,
            "by": by,
            "reason": reason,
        }

    # --- the ledger ------------------------------------------------------------------------------

    async def ledger(
        self,
        *,
        after: int = 0,
        stream: str = "",
        chain: str = "",
        subject: str = "",
        type: str = "",
        limit: int = 100,
    ) -> list[Json]:
        """List events in order of their sequence."""
        rows = await self._store.read(
            lambda tx: tx.events(
                after=after, stream=stream, chain=chain, subject=subject, type=type, limit=limit
            )
        )
        return [event_json(row) for row in rows]

    async def ledger_event(self, id: str) -> Json:
        """Return an event, what led to it and what it led to."""
        row = await self.book.find(id)
        if row is None:
            raise NotFound(f"there is no event {id}", hint="`andon ledger list` lists them")

        def answer(tx: Tx) -> Json:
            causes, effects = tx.linked(id)
            causes = causes or [target for _, target, _ in links_of(row)]
            known = {one: tx.event(one) for one in (*causes, *effects)}
            return {
                "event": event_json(row),
                "body": event_body(row),
                "causes": [event_json(found) for one in causes if (found := known[one])],
                "effects": [event_json(found) for one in effects if (found := known[one])],
            }

        return await self._store.read(answer)

    async def events(self, after: int) -> AsyncIterator[Json]:
        """Yield ledger events and progress, for ever."""
        news = asyncio.Event()
        loop = asyncio.get_running_loop()

        def woken() -> None:
            loop.call_soon_threadsafe(news.set)

        unsubscribe = self._store.subscribe(woken)
        seq = after if after >= 0 else await self._last_seq()
        versions: dict[str, int] = {}
        try:
            while True:
                news.clear()
                rows = await self._store.read(lambda tx, seq=seq: tx.events(after=seq))  # type: ignore[misc]
                for row in rows:
                    seq = row.seq
                    yield event_json(row)
                for run in await self._moved(versions):
                    yield {"kind": "progress", "run": run}
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), PROGRESS_SECONDS)
        finally:
            unsubscribe()

    async def _last_seq(self) -> int:
        return await self._store.read(lambda tx: tx.last_seq())

    async def _moved(self, versions: dict[str, int]) -> list[Json]:
        runs = await self._store.read(queries.active_runs)
        moved = [run for run in runs if versions.get(run.name) != run.version]
        versions.update({run.name: run.version for run in moved})
        return [run_json(run) for run in moved]

    # --- the queue -------------------------------------------------------------------------------

    async def queue(self) -> Json:
        """Say what waits, who works, and what was given up."""
        return await self._store.read(letters.overview)

    async def retry_letter(self, *, queue: str, subject: str, by: str) -> Json:
        """Have a turn that was given up taken again."""
        return await self._store.transact(
            lambda tx: letters.retry(tx, self._turns, queue, subject, by=by)
        )

    async def drop_letter(self, *, queue: str, subject: str, by: str, reason: str) -> Json:
        """Forget work that was given up."""
        return await self._store.transact(
            lambda tx: letters.drop(tx, queue, subject, by=by, reason=reason)
        )

    # --- watching repositories -------------------------------------------------------------------

    async def watch(self, *, repository: str, branch: str, interval_seconds: float) -> Json:
        """Ship every new commit of a branch by itself."""
        return await self.watching.add(repository, branch, interval_seconds)

    async def unwatch(self, *, repository: str, branch: str) -> Json:
        """Stop that."""
        return await self.watching.remove(repository, branch)

    async def watches(self) -> list[Json]:
        """List watched branches."""
        return await self.watching.list()

    # --- Andon itself ----------------------------------------------------------------------------

    async def metrics(self) -> str:
        """Return Andon's own metrics in the Prometheus text format."""
        return await self._store.read(exposition)

    async def health(self) -> Json:
        """Say whether the control plane and what it needs are well."""
        agent = await self._agent_status()
        problems = dict(self._engine.problems)
        trouble = "error" in agent.get("agent", {}) or agent.get("gateway", {}).get("message")
        return {
            "ok": not problems and not trouble,
            "version": __version__,
            "state": str(self._state),
            "pid": os.getpid(),
            "epoch": self._engine.epoch,
            "startedAt": self._started_at,
            "problems": problems,
            "agent": agent.get("agent", {}),
            "gateway": agent.get("gateway", {}),
        }


def _job_name(plan: RolloutPlan | None, step: str) -> str:
    """Return the job behind a step: jobs around a deployment carry their side as a prefix."""
    return step if plan is None else step.split("-", 1)[1]
