"""Runs a plan with the engine of the server: a store, the build controller and this very process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from andon.adapters.git.source import GitSource
from andon.adapters.git.working import WorkingTree
from andon.adapters.local import LocalExecutor
from andon.adapters.process.cgroups import Cgroups
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.adapters.process.records import Journal
from andon.api.v1 import actions
from andon.api.v1.control import Decision
from andon.api.v1.records import TERMINAL, CancellationSpec, Object, RunStatus
from andon.app.local.containing import WithContainers, expect_offered
from andon.app.local.keeping import (
    clear,
    clear_work,
    forget_old,
    forget_results,
    free_name,
    left_over,
)
from andon.app.local.place import held
from andon.app.local.planning import Planned, plan_here
from andon.app.local.secrets import GivenSecrets
from andon.app.local.watching import Onlooker, Overheard
from andon.app.suites.handing import handing
from andon.app.work.queueing import place_of
from andon.domains.line import cancellation
from andon.domains.pipelines import consent
from andon.domains.pipelines.controller import BuildController
from andon.kernel.errors import Held, NotFound, Unavailable
from andon.ports import ArtifactStore
from andon.ports.store import Tx
from andon.runtime.engine import Engine
from andon.runtime.performing import Perform
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.together import end, until_one_ends
from andon.runtime.turns import Turns
from andon.store import open_alone
from andon.store.alone import LoneDatabase

WORKER = "local"
DROP_AT_ONCE = 32
GATHER_SECONDS = 0.03
"""So long an outcome waits for others to be committed with it, while nobody waits for it."""
SOURCE = "/andon/local"


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody wants to run here.

    Args:
        folder: With the documents.
        state: Where it is kept.
        names: The Pipeline or jobs of it; empty: all.
        jobs_at_once: So many.
        sandboxed: In bubblewrap.
        fresh: Results of earlier runs do not count.
        resume: Take up the Run that did not end, whatever lies in the folder now.
        secrets: Values by name.
    """

    folder: Path
    state: Path
    names: tuple[str, ...] = ()
    jobs_at_once: int = 2
    sandboxed: bool = False
    fresh: bool = False
    resume: bool = False
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Wish(folder={self.folder})"


class Ended(Struct, frozen=True, kw_only=True):
    """How a local run ended."""

    run: str
    status: RunStatus


async def run_here(wish: Wish, onlooker: Onlooker) -> Ended:
    """Run a folder's Pipeline to its end.

    Args:
        wish: What to run.
        onlooker: Who looks on.

    Raises:
        Conflict: Another local run is at work in this state.
        InvalidDocument: The documents are missing or wrong.
        Unavailable: Something this machine should have or do is missing.
    """
    with held(wish.state):
        store = open_alone(wish.state / "runs.db", source=SOURCE, clock=SystemClock())
        try:
            return await _Here(wish, store, onlooker).run()
        finally:
            store.close()


class _Here:
    def __init__(self, wish: Wish, store: LoneDatabase, onlooker: Onlooker) -> None:
        self._wish = wish
        self._store = store
        self._onlooker = onlooker
        self._clock = SystemClock()
        self._layout = Layout(wish.state)
        self._tree = WorkingTree(wish.folder, wish.state / "tree")
        self._overheard = Overheard(BuildController())
        self._turns = Turns([self._overheard], SystemRandomness(), place_of)
        self._over = asyncio.Event()
        self._asked_to_end = 0
        self._run = ""
        self._waiting = 0
        self._dropped: list[str] = []
        store.patience = self._patience

    async def run(self) -> Ended:
        self._expect_shell()
        for folder in (self._layout.logs, self._layout.jobs, self._layout.work):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = Journal(self._layout.jobs)
        runner = JobRunner(
            self._layout,
            self._clock,
            Cgroups({}, ()),
            sandboxed=self._wish.sandboxed,
            port_of=_no_gateway,
            alone=journal,
        )
        await runner.open()
        with self._signals():
            ended = await self._carry_out(runner)
        journal.end()
        return ended

    # --- which Run -------------------------------------------------------------------------------

    async def _carry_out(self, runner: JobRunner) -> Ended:
        self._loop = asyncio.get_running_loop()
        run = await self._begun()
        clear_work(self._layout.work, run.uid)
        runs = WithContainers(runner, self._layout, self._clock)
        engine = self._engine(runs, run)
        for pending in await self._store.read(lambda tx: tx.unfinished()):
            if not runs.knows(pending.row.key):
                self._executor.drop_tree(pending.row.key)  # It may have been filled by half.
        unsubscribe = self._store.subscribe(self._listener())
        await engine.start()
        working = asyncio.create_task(engine.run())
        try:
            await until_one_ends(self._watch(run), asyncio.shield(working))
        finally:
            for job in runner.running():
                await job.group.kill()
            await runs.close()
            unsubscribe()
            await end(working)
            await engine.leave()
        ended = await self._store.transact(lambda tx: self._end_well(tx, run.name))
        self._drop_all(self._dropped)
        clear(self._wish.state, self._tree, await self._store.transact(forget_old))
        return ended

    def _end_well(self, tx: Tx, name: str) -> Ended:
        """Tell the end, with the steps as the writer knows them: it does not hold them all at once."""
        run = tx.require("Run", name)
        runs = [run, tx.get("Run", f"{name}-later")]
        steps = [tx.steps_by_name(one.uid).values() for one in runs if one is not None]
        self._show(self._overheard.taken())
        self._onlooker.ended(name, run.status, itertools.chain(*steps))
        return Ended(run=name, status=run.status)

    async def _begun(self) -> Object:
        left = await self._store.read(left_over) if self._wish.resume else None
        if self._wish.resume and left is None:
            raise NotFound("no Run was interrupted here", hint="`andon run` begins one")
        planned = None if left else self._plan()
        if left is not None:
            expect_offered(left.spec.build)
        return await self._store.transact(lambda tx: self._begin(tx, left, planned))

    def _plan(self) -> Planned:
        taken = self._tree.take()
        if self._tree.git_dir is None:
            self._onlooker.say(f"{self._wish.folder} is no git repository: all its files are taken")
        elsewhere = GitSource(self._wish.state / "repositories")
        planned = plan_here(self._tree, taken, self._wish.names, elsewhere)
        expect_offered(planned.plan)
        return planned

    def _begin(self, tx: Tx, left: Object | None, planned: Planned | None) -> Object:
        """Take up a Run that did not end, or make a new one; a Run of other content ends."""
        found = left or left_over(tx)
        if planned is None or (found and found.spec.build == planned.plan):
            assert found is not None
            self._announce(tx, found)
            return found
        if found is not None:
            self._end_in(tx, found, "what lies in the folder has changed since it was interrupted")
        if self._wish.fresh:
            forget_results(tx, planned.plan)
        sequence = int(tx.get_setting("sequence") or "0") + 1
        tx.put_setting("sequence", str(sequence))
        new = planned.run(free_name(tx, planned.name), sequence)
        self._turns.create(tx, Decision(create=(new,)), tx.now())
        run = tx.require("Run", new.name)
        self._run = run.name
        self._soon(self._onlooker.begun, run.name, run.spec.build, ())
        return run

    def _announce(self, tx: Tx, run: Object) -> None:
        self._run = run.name
        rows = tx.steps(run.uid)
        done = sum(row.finished_at > 0 for row in rows)
        said = f"takes up {run.name}, which was interrupted: {done} of {len(rows)} steps are done"
        self._soon(self._onlooker.say, said)
        self._soon(self._onlooker.begun, run.name, run.spec.build, rows)

    def _end_in(self, tx: Tx, run: Object, why: str) -> None:
        me = f"person:{os.environ.get('USER') or os.getuid()}"
        wish = CancellationSpec(run=run.name, by=me, reason=why, asked_at=tx.now())
        events = (cancellation.asked(wish, run),)
        decision = Decision(create=(cancellation.record(wish),), events=events)
        self._turns.create(tx, decision, tx.now())

    # --- carrying it out -------------------------------------------------------------------------

    def _engine(self, runner: WithContainers, run: Object) -> Engine:
        self._slots = asyncio.Semaphore(self._wish.jobs_at_once)
        self._packed = {pack.job for pack in run.spec.build.packs}
        artifacts = LazyArtifacts(self._wish.state, self._tree)
        self._executor = LocalExecutor(
            runner,
            self._tree,
            artifacts,
            self._layout.work,
            secrets=GivenSecrets(self._wish.secrets),
            small=self._tree.is_small(run.spec.build.sha),
        )
        self._handing = handing(self._executor, self._store, self._wish.state, self._clock)
        performers: dict[type[actions.Action], Perform] = {
            actions.RunJob: self._run_job,
            actions.CancelJob: self._executor.cancel_job,
            actions.PackArtifact: artifacts.pack_artifact,
        }
        return Engine(self._store, self._turns, performers, WORKER)

    async def _run_job(self, action: actions.RunJob, intent: actions.Intent) -> actions.JobDone:
        async with self._slot():
            self._onlooker.started(action)
            outcome = await self._handing.run_job(action, intent)
            self._onlooker.done(action, outcome)
            if outcome.state == "passed" and action.job.name not in self._packed:
                self._drop(intent.key)
            return outcome

    def _drop(self, key: str) -> None:
        """Have work trees removed beside, many at a time: to ask for it takes long, too."""
        self._dropped.append(key)
        if len(self._dropped) >= DROP_AT_ONCE:
            keys, self._dropped = self._dropped, []
            self._loop.run_in_executor(None, self._drop_all, keys)

    def _drop_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._executor.drop_tree(key)

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    def _patience(self) -> float:
        """Let outcomes gather while jobs stand in line: none of them waits for a commit."""
        return GATHER_SECONDS if self._waiting >= self._wish.jobs_at_once else 0.0

    async def _watch(self, run: Object) -> None:
        """Wait until all Runs are over that this one led to."""
        while await self._store.read(lambda tx: self._goes_on(tx, run.name)):
            await self._over.wait()
            self._over.clear()

    def _goes_on(self, tx: Tx, name: str) -> bool:
        run = left_over(tx)
        if run is not None and run.status.reason == consent.REASON and run.name == name:
            raise Held(run.status.message, hint="`andon ship` builds where people can consent")
        return run is not None

    def _listener(self) -> Callable[[], None]:
        """Return what is called by the writer after each commit."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            decided = self._overheard.taken()
            if decided:
                loop.call_soon_threadsafe(self._show, decided)

        return heard

    def _show(self, decided: Sequence[tuple[str, Decision]]) -> None:
        for name, decision in decided:
            self._onlooker.stepped(name, decision.steps)
            status = decision.status
            if status is not None and status.phase in (*TERMINAL, "Waiting"):
                self._over.set()

    def _soon(self, tell: Callable[..., None], *what: object) -> None:
        self._loop.call_soon_threadsafe(tell, *what)

    # --- ending ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

        def asked() -> None:
            self._asked_to_end += 1
            if self._asked_to_end == 1 and self._run:
                self._onlooker.say("ending what runs; once more: at once")
                self._ending = loop.create_task(self._cancel())
            elif me is not None:
                me.cancel()

        for number in numbers:
            loop.add_signal_handler(number, asked)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def _cancel(self) -> None:
        def write(tx: Tx) -> None:
            run = tx.require("Run", self._run)
            if run.status.phase not in TERMINAL and tx.get("Cancellation", run.name) is None:
                self._end_in(tx, run, "stopped at the terminal")

        await self._store.transact(write)

    def _expect_shell(self) -> None:
        if not os.access("/bin/sh", os.X_OK):
            raise Unavailable("there is no /bin/sh, which runs the jobs", hint="install a shell")


class LazyArtifacts:
    """The artifact store, loaded once something is packed.

    Args:
        state: Where it lies.
        source: Of what is packed without a job.
    """

    def __init__(self, state: Path, source: WorkingTree) -> None:
        self._state = state
        self._source = source

    async def pack_artifact(
        self, action: actions.PackArtifact, intent: actions.Intent
    ) -> actions.ArtifactPacked:
        """Pack a work tree's folder."""
        return await self._store().pack_artifact(action, intent)

    def unpack(self, digest: str, into: Path) -> None:
        """Write an artifact's files into an empty folder."""
        self._store().unpack(digest, into)

    def _store(self) -> ArtifactStore:
        from andon.adapters.oci import OciArtifactStore

        return OciArtifactStore(self._state / "oci", self._source, self._state / "work")


def _no_gateway(environment: str, name: str) -> int:
    raise Unavailable(f"no gateway leads to {name} here", hint="`andon up` runs services")
