"""The control plane as people and programs meet it: ``LineService`` over the store and the agent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

from andon import __version__
from andon.adapters.agentclient import AgentClient
from andon.adapters.outbound import LOCAL, Guard
from andon.api.overlay import merge_bases
from andon.api.v1 import answers
from andon.api.v1.control import Selector
from andon.api.v1.records import BUILD_ONLY
from andon.app import queries, shipping
from andon.app.acting import note_privilege
from andon.app.agent_status import AgentStatus
from andon.app.cord import Cord
from andon.app.events.intake import Intake
from andon.app.events.news import Newsroom
from andon.app.events.sinks import InnerSinks, sinks
from andon.app.events.subscriptions import Subscriptions
from andon.app.ledger.book import Book
from andon.app.ledger.reading import event_in_full
from andon.app.secrets.safe import Vault
from andon.app.shapes import Json, event_json, incident_json, object_json
from andon.app.steplogs import read_log
from andon.app.watches import Watches
from andon.app.why import explain, find_change
from andon.app.work import queue as letters
from andon.app.work.metrics import exposition
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound
from andon.ports import Source
from andon.ports.asking import Asked
from andon.ports.news import Sees
from andon.ports.store import Store, Tx
from andon.runtime.engine import Engine
from andon.runtime.system import SystemRandomness
from andon.runtime.turns import Turns

WATCH = "watch"
"""Who ships what a watched branch brings."""


class ControlPlane(Cord):
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
        vault: Keeps what subscriptions have to hide.
        guard: Where calls to subscribers may lead.
        inner: What opens Andon's own subscribers.
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
        vault: Vault,
        notify: tuple[str, ...] = (),
        policy_branch: str = "main",
        guard: Guard = LOCAL,
        inner: InnerSinks = MappingProxyType({}),
    ) -> None:
        super().__init__(store, turns, clock)
        self._state = state
        self._engine = engine
        self._source = source
        self._agent = agent
        self.book = book
        self._notify = notify
        self._policy_branch = policy_branch
        self._started_at = clock.now()
        self._agent_status = AgentStatus(agent, clock)
        self.watching = Watches(store, source, clock, self._ship_seen)
        self.subscriptions = Subscriptions(
            store, clock, SystemRandomness(), vault, sinks(clock, guard, inner)
        )
        self.intake = Intake(store, turns, clock)
        self.news = Newsroom(store, clock)

    # --- shipping --------------------------------------------------------------------------------

    async def ship(
        self,
        *,
        repository: str,
        ref: str,
        until: str,
        asked: Asked,
        may: shipping.May = lambda place: True,
    ) -> answers.Shipped:
        """Take a commit onto the line."""
        event = "push" if asked.by == WATCH else "manual"
        loaded = await self._load(repository, ref, event=event, until=until)
        shipping.refuse_way(merge_bases(loaded.policy.environments), until, may)

        def put(tx: Tx) -> answers.Shipped:
            change, created = shipping.put_change(
                tx,
                self._turns,
                loaded,
                until=until,
                notify=self._notify,
                by=asked.by,
                now=self._clock.now(),
                emails=asked.emails,
            )
            spec = change.spec
            return {
                "change": change.name,
                "sha": spec.sha,
                "message": spec.message,
                "created": created,
            }

        return await self._act(asked, put)

    async def knows(self, repository: str) -> bool:
        """Say whether rules of a repository are in force."""
        key = shipping.policy_setting(repository)
        return await self._store.read(lambda tx: tx.get_setting(key) is not None)

    async def _ship_seen(self, repository: str, branch: str) -> None:
        await self.ship(repository=repository, ref=branch, until="", asked=Asked(by=WATCH))

    async def _load(
        self, repository: str, ref: str, *, event: str = "manual", until: str = ""
    ) -> shipping.Loaded:
        adopted, good = await self._store.read(
            lambda tx: shipping.what_came_before(tx, repository, ref)
        )
        # What is only built, of a repository without rules in force, is what a stranger proposes.
        trusted = adopted is not None or until != BUILD_ONLY
        return await asyncio.to_thread(
            shipping.load,
            *(self._source, repository, ref, adopted, self._policy_branch),
            last_good=good,
            event=event,
            trusted=trusted,
        )

    async def diff(self, *, repository: str, ref: str, environment: str) -> answers.Diff:
        """Say what a ship would change in an environment."""
        loaded = await self._load(repository, ref)
        spec = shipping.change_spec(loaded, until="", notify=(), sequence=0)

        def answer(tx: Tx) -> answers.Diff:
            change = find_change(tx, spec.sha)
            labels = {"change": change.name} if change else {"change": "?"}
            built = tx.list(Selector(kind="Artifact", labels=labels))
            digests = {one.spec.service: one.spec.digest for one in built}
            return queries.diff(tx, spec, environment, digests)

        return await self._store.read(answer)

    # --- reading ---------------------------------------------------------------------------------

    async def status(self, *, environment: str = "") -> answers.Status:
        """Say what runs where and what moves."""
        agent = await self._agent_status.now()
        now = self._clock.now()

        def answer(tx: Tx) -> answers.Status:
            problems = {**self._engine.problems, **letters.troubles(tx)}
            return queries.status(tx, environment, agent, problems, now)

        return await self._store.read(answer)

    async def why(
        self, subject: str, *, environment: str = "", sees: Sees | None = None
    ) -> answers.Why:
        """Explain what holds a subject and what would open it."""
        now = self._clock.now()
        return await self._store.read(lambda tx: explain(tx, subject, environment, now, sees))

    async def runs(
        self, *, filters: Mapping[str, str], limit: int = 50, after: str = ""
    ) -> list[answers.Run]:
        """List Runs, newest first."""
        return await self._store.read(lambda tx: queries.runs(tx, filters, limit, after))

    async def run(self, name: str) -> answers.RunWithSteps:
        """Return a Run with its steps."""
        return await self._store.read(lambda tx: queries.run_with_steps(tx, name))

    async def change(self, name: str) -> answers.ChangeWithRuns:
        """Return a Change with its Runs."""

        def answer(tx: Tx) -> answers.ChangeWithRuns:
            found = find_change(tx, name)
            if found is None:
                raise NotFound(f"there is no change {name}", hint="`andon status` lists them")
            return queries.change_with_runs(tx, found)

        return await self._store.read(answer)

    async def changes(self, *, limit: int = 50, after: str = "") -> list[answers.Change]:
        """List Changes, newest first."""
        return await self._store.read(lambda tx: queries.changes(tx, limit, after))

    async def schedules(self) -> list[answers.ScheduleRow]:
        """List what is scheduled, the next one first."""
        return await self._store.read(queries.schedules)

    async def incidents(self) -> list[answers.Incident]:
        """List incidents, newest first."""
        found = await self._store.read(
            lambda tx: tx.list(Selector(kind="Incident"), newest_first=True)
        )
        return [incident_json(one) for one in found]

    async def objects(self, kind: str, *, labels: Mapping[str, str]) -> list[answers.Document]:
        """List stored objects of a kind."""
        selector = Selector(kind=kind, labels=dict(labels))
        return [object_json(one) for one in await self._store.read(lambda tx: tx.list(selector))]

    async def object(self, kind: str, name: str) -> answers.Document:
        """Return one stored object."""
        return object_json(await self._store.read(lambda tx: tx.require(kind, name)))

    async def log(
        self, run: str, *, step: str, offset: int = 0, max_bytes: int = 65536
    ) -> answers.LogPiece:
        """Read a step's captured log."""
        return await read_log(self._store, self._agent, run, step, offset, max_bytes)

    async def environment_named(self, subject: str) -> str:
        """Return the environment that a subject is or is in; empty: none."""

        def look(tx: Tx) -> str:
            if tx.get("Environment", subject) is not None:
                return subject
            run = tx.get("Run", subject)
            return run.labels.get("environment", "") if run else ""

        return await self._store.read(look)

    async def place_of(self, kind: str, name: str) -> str:
        """Say in which environment a Hold or Run is; empty: in none."""

        def look(tx: Tx) -> str:
            if kind == "Run":
                return queries.run(tx, name).labels.get("environment", "")
            return tx.require(kind, name).labels.get("environment", "")

        return await self._store.read(look)

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
    ) -> list[answers.Event]:
        """List events in order of their sequence."""
        rows = await self._store.read(
            lambda tx: tx.events(
                after=after, stream=stream, chain=chain, subject=subject, type=type, limit=limit
            )
        )
        return [event_json(row) for row in rows]

    async def ledger_event(self, id: str) -> answers.EventInFull:
        """Return an event, what led to it and what it led to."""
        return await event_in_full(self._store, self.book, id)

    def events(self, after: int) -> AsyncIterator[Json]:
        """Yield ledger events and progress, for ever."""
        return self.news.items(after)

    # --- the queue -------------------------------------------------------------------------------

    async def queue(self) -> answers.Queue:
        """Say what waits, who works, and what was given up."""
        return await self._store.read(letters.overview)

    async def retry_letter(self, *, queue: str, subject: str, asked: Asked) -> answers.DeadLetter:
        """Have a turn that was given up taken again."""
        return await self._act(
            asked, lambda tx: letters.retry(tx, self._turns, queue, subject, by=asked.by)
        )

    async def drop_letter(
        self, *, queue: str, subject: str, asked: Asked, reason: str
    ) -> answers.DeadLetter:
        """Forget work that was given up."""
        return await self._act(
            asked, lambda tx: letters.drop(tx, queue, subject, by=asked.by, reason=reason)
        )

    # --- watching repositories -------------------------------------------------------------------

    async def watch(
        self, *, repository: str, branch: str, interval_seconds: float
    ) -> answers.NewWatch:
        """Ship every new commit of a branch by itself."""
        return await self.watching.add(repository, branch, interval_seconds)

    async def unwatch(self, *, repository: str, branch: str) -> answers.Branch:
        """Stop that."""
        return await self.watching.remove(repository, branch)

    async def watches(self) -> list[answers.Watch]:
        """List watched branches."""
        return await self.watching.list()

    # --- Andon itself ----------------------------------------------------------------------------

    @property
    def moment(self) -> int:
        """Another number once anything was written here."""
        return self._store.commits

    async def note(self, asked: Asked) -> None:
        """Write down a privilege used for what is not one transaction, before it is used."""
        now = self._clock.now()
        await self._store.transact(lambda tx: note_privilege(tx, asked, now))

    async def metrics(self) -> str:
        """Return Andon's own metrics in the Prometheus text format."""
        return await self._store.read(exposition)

    async def health(self) -> answers.Health:
        """Say whether the control plane and what it needs are well."""
        agent = await self._agent_status.now()
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
