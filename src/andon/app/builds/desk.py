"""Builds as people look at them: ``BuildService`` over the store and the agent's logs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from andon.adapters.process.beside import log_name
from andon.api.v1 import answers
from andon.api.v1.records import ENDED_STEP, Object
from andon.app import queries
from andon.app.builds import speed, states
from andon.app.builds.graph import graph, services_with_logs
from andon.app.builds.logs import FoundLog, Logs, Read
from andon.app.builds.outcomes import Outcomes
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound
from andon.ports.store import Store, Tx


class Builds:
    """Shows builds.

    Args:
        store: The durable store.
        read: Reads a piece of a log: name, offset, most bytes.
        clock: The time.
    """

    def __init__(self, store: Store, read: Read, clock: Clock) -> None:
        self._store = store
        self._logs = Logs(read)
        self._clock = clock
        self._outcomes = Outcomes()

    async def graph(self, run: str) -> answers.RunGraph:
        """Return a Run with its jobs, its critical path and what failed."""
        now = self._clock.now()

        def look(tx: Tx) -> answers.RunGraph:
            found = queries.run(tx, run)
            rows = tx.steps(found.uid)
            change = tx.get("Change", found.spec.change) if found.spec.change else None
            return graph(found, rows, self._outcomes.of(tx, found, rows), change, now)

        return await self._store.read(look)

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
        return await self._logs.raw(await self._find(run, step), offset)

    async def _find(self, run: str, step: str) -> FoundLog:
        return await self._store.read(lambda tx: find_log(tx, run, step))

    async def feedback(self, repository: str) -> answers.Feedback:
        """Say how fast the feedback of a repository is."""
        now = self._clock.now()
        return await self._store.read(
            lambda tx: speed.feedback(tx, self._outcomes, repository, now)
        )

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
    """Find the log of a step, or of a service beside it: ``unit/db``.

    Raises:
        NotFound: There is no such step, or service.
    """
    found = queries.run(tx, run)
    rows = {row.name: row for row in tx.steps(found.uid)}
    step, _, service = step.partition("/")
    if step not in rows:
        known = ", ".join(list(rows)[:20]) or "none yet"
        raise NotFound(f"{found.name} has no step {step}", hint=f"its steps: {known}")
    row = rows[step]
    # Jobs around a deployment carry their side as a prefix.
    job = step if found.spec.rollout is None else step.partition("-")[2] or step
    file = row.log or f"{found.name}/{job}-{row.attempt}.log"
    if service:
        file = log_name(file, _beside(found, step, service))
    return FoundLog(found.name, step, file, row.state in ENDED_STEP)


def _beside(run: Object, step: str, service: str) -> str:
    """Return the name of a service that has a log of its own beside a job's."""
    plans = {job.name: job for job in run.spec.build.jobs} if run.spec.build else {}
    known = services_with_logs(plans.get(step))
    if service not in known:
        hint = f"services of {step} with a log of their own: {', '.join(known) or 'none'}"
        raise NotFound(f"{step} of {run.name} has no log of {service}", hint=hint)
    return service
