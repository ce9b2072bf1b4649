"""Jobs: one command each, to its end, exactly one outcome, and nothing of it left running."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from andon.adapters.filetree import remove_tree
from andon.adapters.process import environment, sandbox, telling
from andon.adapters.process.beside import died
from andon.adapters.process.cgroups import Cgroup, Cgroups, Limits
from andon.adapters.process.disk import expect_room, room
from andon.adapters.process.files import Homes, safe_name, unwritable
from andon.adapters.process.known import Known
from andon.adapters.process.layout import Layout
from andon.adapters.process.longlogs import shorten
from andon.adapters.process.masked import (
    Masking,
    expect_values,
    refuse_strangers,
    spawn_masked,
)
from andon.adapters.process.prepared import Prepared, prepare, step_names
from andon.adapters.process.records import JobRecord, Journal, RecordFiles, Records
from andon.adapters.process.script import FOLDER
from andon.adapters.process.spawn import Group, Watched, inherit_orphans, kill_marked_below
from andon.adapters.process.steps import read_note, read_steps
from andon.adapters.process.strays import end_strays
from andon.adapters.process.usage import most_memory, of_cgroup
from andon.adapters.process.verdicts import Ended, EndedFor, judge
from andon.adapters.process.watching import Tenant, Watching, tenant
from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, Unavailable

_GRACE_SECONDS = 3.0
_MOST_PROCESSES = 4096  # A fork bomb ends here, not at the machine's limit.
_KEEP_SECONDS = 14 * 86400.0
_NO_SECRETS: Mapping[str, str] = {}

# The shell waits for the command and writes its exit code where a new agent finds it. It survives
# the signal that asks the group to end; the command gets the signal's default action back.
_SCRIPT = (
    'trap : TERM INT HUP\nexit_file=$1; shift\n"$@"\ncode=$?\necho $code >"$exit_file"\nexit $code'
)

_log = logging.getLogger("andon.jobs")


class JobRunner:
    """The executor's end on this host.

    Args:
        layout: The state folder.
        clock: For deadlines that hold over a restart.
        cgroups: Groups this machine allows.
        sandboxed: Whether bubblewrap works here.
        port_of: Gateway ports for ``ANDON_URL_<NAME>``.
        tell: Where jobs that have the network may tell what they see.
        alone: Jobs end with this very process, and nobody takes them up again: a local run.
        limits: What one job may use, where control groups can limit it; None: nearly all there is.
    """

    def __init__(
        self,
        layout: Layout,
        clock: Clock,
        cgroups: Cgroups,
        *,
        sandboxed: bool,
        port_of: environment.PortOf,
        tell: telling.AddressNow = telling.nowhere,
        alone: Journal | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._layout = layout
        self._alone = alone
        self._written: Records = alone or RecordFiles(layout.jobs)
        self._reaper = inherit_orphans() if alone else 0
        self._homes = Homes(again=alone is not None)
        self._clock = clock
        self._cgroups = cgroups
        self._sandboxed = sandboxed
        self._etc = sandbox.Etc(layout.agent / "etc")
        self._port_of = port_of
        self._tell = tell
        self._limits = limits or Limits(processes=_MOST_PROCESSES, memory_bytes=most_memory())
        self._watching = Watching(layout.state, self._tenants, self._make_room)
        self._known = Known(self._written)
        self._tasks: dict[str, asyncio.Task[JobDone]] = {}

    async def open(self) -> None:
        """Read what was written down; take up again what still runs or ended meanwhile.

        What an earlier process that was alone left running is ended: nobody heard it any more.
        """
        if self._alone is not None:
            await self._end_orphans(self._alone)
        for record in self._written.load():
            if record.outcome is None:
                self._known.inherit(record)
                masking = (
                    Masking.found(record.group, self._heard_file(record.key))
                    if record.masked
                    else None
                )
                self._watch(record, None, masking)
            elif record.started_at + _KEEP_SECONDS < self._clock.now():
                self._written.forget(record.key)
            else:
                self._known.inherit(record)
        self._known.inherited()
        if not self.running():
            self._etc.clear()

    async def _end_orphans(self, journal: Journal) -> None:
        if not journal.was_left:
            return
        for record in journal.load():
            if record.outcome is None:
                await structs.replace(record.group, reaper=0).kill()
                self._known.inherit(record)
                ended = self._ended(record, None, timed_out=False)
                self._conclude(record, self._judge(record, ended))
        await kill_marked_below(journal.marker(""))

    async def close(self) -> None:
        """Interrupt every running job."""
        await asyncio.gather(*(self._end(job, "shutdown") for job in self.running()))
        self._homes.close()

    def knows(self, key: str) -> bool:
        """Say whether a job was seen: it runs or ended."""
        return self._known.get(key) is not None

    def running(self) -> list[JobRecord]:
        """Return the jobs without outcome."""
        return self._known.running()

    def _under_way(self) -> list[JobRecord]:
        return [self._known.under_way(key) for key in self._tasks]

    def _tenants(self) -> list[Tenant]:
        return [self._tenant(record) for record in self._under_way()]

    def _tenant(self, record: JobRecord) -> Tenant:
        services = tuple(record.services)
        return tenant(self._layout, record.key, record.log, services, record.disk_bytes)

    async def run_job(
        self, action: RunJob, intent: Intent, secrets: Mapping[str, str] = _NO_SECRETS
    ) -> JobDone:
        """Run a job to its end; the same key finds the one that runs or ended.

        Args:
            action: The job.
            intent: Its key.
            secrets: Values of the secrets that the job names, by environment variable.
        """
        record = self._known.get(intent.key)
        if record is None:
            refuse_strangers(action)
            expect_values(action.job.secrets, secrets)
            self._start(action, intent.key, secrets)
        elif record.outcome is not None:
            return record.outcome
        return await asyncio.shield(self._tasks[intent.key])

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job's whole process group; one not seen yet will not start."""
        key = action.job_key
        record = self._known.get(key)
        if record is None:
            self._known.save(self._tombstone(key))
        elif record.outcome is None:
            await self._end(record, "cancelled")
        return Done()

    async def _make_room(self, key: str, filled: str) -> None:
        await self._end(self._known.under_way(key), "disk", filled)

    async def _end(self, record: JobRecord, why: EndedFor, filled: str = "") -> None:
        self._known.try_save(structs.replace(record, ended_for=why, filled=filled))
        await record.group.stop(_GRACE_SECONDS)
        task = self._tasks.get(record.key)
        if task is not None:
            await asyncio.shield(task)

    def _tombstone(self, key: str) -> JobRecord:
        return JobRecord(
            key=key,
            run="",
            name="",
            log="",
            started_at=self._clock.now(),
            timeout_seconds=0,
            group=Group(marker=self._written.marker(key)),
            outcome=JobDone(state="cancelled", message="cancelled before it started"),
        )

    def _start(self, action: RunJob, key: str, secrets: Mapping[str, str]) -> None:
        if not self._layout.work_tree(key).is_dir():
            raise Unavailable(
                f"job {action.job.name} of run {action.run}: work tree deleted",
                hint=f"`andon logs {action.run}`; the next attempt checks it out again",
            )
        prepared = self._prepare(action, key)
        record = self._known.save(self._plan(action, key, prepared))
        try:
            watched, masking = self._spawn(action, record, prepared, secrets)
        except AndonError:
            self._known.forget(key)
            raise
        group = structs.replace(record.group, leader=watched.identity)
        record = structs.replace(record, group=group)
        self._known.try_save(record)
        self._watch(record, watched, masking)

    def _prepare(self, action: RunJob, key: str) -> Prepared:
        temporary = self._layout.temporary(key)
        expect_room(self._layout.state)
        log = self._layout.job_log(action.run, action.job.name, key)
        try:
            self._homes.make(temporary)
            return prepare(
                action.job,
                key,
                temporary=temporary,
                log=self._layout.log(log),
                taken={port for job in self._under_way() for port in job.services.values()},
                own_network=self._sandboxed and not _has_network(action),
            )
        except OSError as error:
            raise unwritable(temporary, error) from error

    def _plan(self, action: RunJob, key: str, prepared: Prepared) -> JobRecord:
        try:
            cgroup = self._cgroups.create(f"job-{safe_name(key)}", self._limits)
        except OSError as error:
            _log.warning("job %s runs without cgroup: %s", key, error)
            cgroup = Cgroup()
        return JobRecord(
            key=key,
            run=action.run,
            name=action.job.name,
            log=self._layout.job_log(action.run, action.job.name, key),
            started_at=self._clock.now(),
            timeout_seconds=action.job.timeout_seconds,
            group=Group(marker=self._written.marker(key), cgroup=cgroup, reaper=self._reaper),
            masked=bool(action.job.secrets),
            steps=step_names(action.job),
            services=prepared.ports,
            disk_bytes=action.job.disk_bytes,
        )

    def _spawn(
        self, action: RunJob, record: JobRecord, prepared: Prepared, secrets: Mapping[str, str]
    ) -> tuple[Watched, Masking | None]:
        work_tree = self._layout.work_tree(record.key)
        temporary = self._layout.temporary(record.key)
        root = "/tmp" if self._sandboxed else str(temporary)  # noqa: S108 - the sandbox's own
        told = telling.of_job(action, self._tell()) if _has_network(action) else {}
        env = environment.of_job(action, root, self._port_of) | told | prepared.env
        inner = ["/bin/sh", "-euc", prepared.text]
        if self._sandboxed:
            network = _has_network(action)
            inner = sandbox.command(
                inner, work_tree, temporary, env["PATH"], etc=self._etc, network=network
            )
        script, before = ("", []) if self._alone else (_SCRIPT, [str(self._exit_file(record.key))])
        return spawn_masked(
            script,
            [*before, *inner],
            group=record.group,
            folder=work_tree,
            log=self._layout.log(record.log),
            env=env,
            secrets=secrets,
            heard=None if self._alone else self._heard_file(record.key),
        )

    def _watch(self, record: JobRecord, watched: Watched | None, masking: Masking | None) -> None:
        task = asyncio.create_task(self._finish(record, watched, masking))
        self._tasks[record.key] = task
        self._watching.begin()
        task.add_done_callback(lambda _: self._tasks.pop(record.key, None))

    async def _finish(
        self, record: JobRecord, watched: Watched | None, masking: Masking | None
    ) -> JobDone:
        if watched is None:
            leader = record.group.find_leader()
            watched = Watched(leader) if leader else None
        code, timed_out = await self._end_of(record, watched)
        used = of_cgroup(record.group.cgroup)
        ended = self._ended(record, code, timed_out=timed_out)
        await record.group.kill()
        heard = masking is None or await masking.end()
        if self._alone is not None and len(self._tasks) == 1:
            await end_strays()
        if watched is not None:
            used = used.at_least(watched.usage)
        ended = structs.replace(ended, usage=used, heard=heard)
        ended = structs.replace(ended, filled=await self._filled(record, ended))
        outcome = self._judge(record, ended)
        await self._clear(record, ended)
        self._conclude(self._known.under_way(record.key), outcome)
        return outcome

    async def _filled(self, record: JobRecord, ended: Ended) -> str:
        """Say that a job took too much of the disk; without a limit it may, as long as it passes."""
        said = self._known.under_way(record.key).filled
        if said or (ended.exit_code == 0 and not record.disk_bytes):
            return said
        if not record.disk_bytes and not room(self._layout.state).is_low:
            return ""
        return await asyncio.to_thread(self._tenant(record).filled, self._layout.state)

    async def _clear(self, record: JobRecord, ended: Ended) -> None:
        """Remove a job's temporary files, and the work tree of one that took too much, for the next job."""
        temporary = self._layout.temporary(record.key)
        if not self._homes.give_back(temporary):
            await asyncio.to_thread(_remove, temporary)
        if ended.filled or (ended.exit_code != 0 and room(self._layout.state).is_low):
            await asyncio.to_thread(_remove, self._layout.work_tree(record.key))

    def _conclude(self, record: JobRecord, outcome: JobDone) -> None:
        """Write down how a job ended, and how its logs stay."""
        for log in self._tenant(record).logs:
            shorten(log)
        self._known.conclude(structs.replace(record, outcome=outcome))
        if self._alone is None:
            self._exit_file(record.key).unlink(missing_ok=True)
            self._heard_file(record.key).unlink(missing_ok=True)

    async def _end_of(self, record: JobRecord, watched: Watched | None) -> tuple[int | None, bool]:
        """Wait until the command ends or its time is over; return its exit code and which it was."""
        if watched is None:
            return self._written_code(record.key), False
        remaining = record.started_at + record.timeout_seconds - self._clock.now()
        try:
            async with asyncio.timeout(max(0, remaining)):
                code = await watched.wait()
        except TimeoutError:
            await record.group.stop(_GRACE_SECONDS)
            return await watched.wait(), True
        written = self._written_code(record.key)
        shell_ended_by_itself = code is not None and code >= 0
        return (code if written is None and shell_ended_by_itself else written), False

    def _written_code(self, key: str) -> int | None:
        if self._alone:
            return None
        try:
            return int(self._exit_file(key).read_text())
        except (OSError, ValueError):
            return None

    def _ended(self, record: JobRecord, code: int | None, *, timed_out: bool) -> Ended:
        notes = self._layout.temporary(record.key) / FOLDER
        return Ended(
            exit_code=code,
            seconds=max(0, self._clock.now() - record.started_at),
            timeout_seconds=record.timeout_seconds if timed_out else None,
            ended_for=self._known.under_way(record.key).ended_for,
            out_of_memory=record.group.cgroup.oom_kills() > 0,
            said=read_note(notes / "said").strip() if record.steps or record.services else "",
            died=died(notes, record.services),
        )

    def _judge(self, record: JobRecord, ended: Ended) -> JobDone:
        outcome = judge(
            ended,
            log=record.log,
            log_file=self._layout.log(record.log),
            work_tree=self._layout.work_tree(record.key),
        )
        if not record.steps:
            return outcome
        notes = self._layout.temporary(record.key) / FOLDER / "steps"
        return structs.replace(outcome, steps=read_steps(notes, record.steps, outcome.state))

    def _exit_file(self, key: str) -> Path:
        return self._layout.jobs / f"{safe_name(key)}.exit"

    def _heard_file(self, key: str) -> Path:
        return self._layout.jobs / f"{safe_name(key)}.heard"


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        remove_tree(folder)


def _has_network(action: RunJob) -> bool:
    return action.job.network or bool(action.environment and action.needs)
