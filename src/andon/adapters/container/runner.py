"""Jobs in containers: one each, found again by its key, exactly one outcome, and nothing of it left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, structs

from andon.adapters.apart import apart
from andon.adapters.container import plan, values
from andon.adapters.container.engine import Engine
from andon.adapters.container.hearing import Hearing
from andon.adapters.container.services import Services
from andon.adapters.filetree import remove_tree
from andon.adapters.process.beside import died
from andon.adapters.process.disk import expect_room
from andon.adapters.process.files import read_all, read_json, safe_name, unwritable, write_json
from andon.adapters.process.layout import Layout
from andon.adapters.process.longlogs import shorten
from andon.adapters.process.masked import expect_values
from andon.adapters.process.prepared import Prepared, prepare, step_names
from andon.adapters.process.script import FOLDER
from andon.adapters.process.steps import read_note, read_steps
from andon.adapters.process.verdicts import Ended, EndedFor, judge
from andon.adapters.process.watching import Tenant, Watching, tenant
from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound, StepFailed, Unavailable
from andon.kernel.masking import Masker

_GRACE_SECONDS = 3
_KEEP_SECONDS = 14 * 86400.0
_log = logging.getLogger("andon.containers")
_NO_SECRETS: Mapping[str, str] = {}


class Kept(Struct, frozen=True, kw_only=True):
    """What is written down of a job in a container.

    Args:
        key: Of its intent.
        started_at: When.
        began: Its container may have run: it is not made again.
        ended_for: Why we ended it, if we did.
        filled: That it took too much of the disk, in words.
        outcome: How it ended.
    """

    key: str
    started_at: float
    began: bool = False
    ended_for: EndedFor = ""
    filled: str = ""
    outcome: JobDone | None = None


class ContainerRunner:
    """Runs jobs that name an image; a ``JobAgent`` as the host's agent is.

    Args:
        layout: The state folder.
        clock: For deadlines that hold over a restart.
        engine: The container engine.
        bounds: What a container may use.
        allow_tags: Whether images need not be pinned by digest.
    """

    def __init__(
        self,
        layout: Layout,
        clock: Clock,
        engine: Engine,
        *,
        bounds: plan.Bounds | None = None,
        allow_tags: bool = False,
    ) -> None:
        self._layout = layout
        self._clock = clock
        self._engine = engine
        self._bounds = bounds or plan.Bounds(memory_bytes=_most_memory())
        self._allow_tags = allow_tags
        self._tasks: dict[str, asyncio.Task[JobDone]] = {}
        self._jobs: dict[str, _Job] = {}
        self._watching = Watching(layout.state, self._tenants, self._make_room)
        self._unwritten: dict[str, Kept] = {}
        self._swept = False

    async def run_job(
        self, action: RunJob, intent: Intent, secrets: Mapping[str, str] = _NO_SECRETS
    ) -> JobDone:
        """Run a job to its end; the same key finds the one that runs or ended."""
        key = intent.key
        kept = self._read(key)
        if kept is not None and kept.outcome is not None:
            return kept.outcome
        if key not in self._tasks:
            expect_values(action.job.secrets, secrets)
            for image in (action.job.image, *(one.image for one in action.job.services)):
                if image and not self._allow_tags:
                    plan.expect_pinned(image)
            self._begin(_Job(self, action, key, secrets))
        return await asyncio.shield(self._tasks[key])

    def _begin(self, job: _Job) -> None:
        self._jobs[job.key] = job
        self._tasks[job.key] = task = asyncio.create_task(job.run())
        task.add_done_callback(lambda _: self._forget(job.key))
        self._watching.begin()

    def _forget(self, key: str) -> None:
        del self._jobs[key], self._tasks[key]

    def _tenants(self) -> list[Tenant]:
        return [job.tenant for job in self._jobs.values()]

    async def _make_room(self, key: str, filled: str) -> None:
        kept = self._read(key)
        if kept is not None and kept.began and kept.outcome is None:
            await self._end(kept, "disk", filled)

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job's container; one not seen yet will not start."""
        key = action.job_key
        kept = self._read(key)
        if kept is None:
            outcome = JobDone(state="cancelled", message="cancelled before it started")
            self._write(Kept(key=key, started_at=self._clock.now(), outcome=outcome))
        elif kept.outcome is None:
            await self._end(kept, "cancelled")
        return Done()

    async def _end(self, kept: Kept, why: EndedFor, filled: str = "") -> None:
        self._try_write(structs.replace(kept, ended_for=why, filled=filled))
        await apart(lambda: self._engine.stop(self._name(kept.key), _GRACE_SECONDS))
        if kept.key in self._tasks:
            await asyncio.shield(self._tasks[kept.key])

    def knows(self, key: str) -> bool:
        """Say whether a job was seen: its container runs or ended."""
        return self._read(key) is not None

    async def close(self) -> None:
        """Interrupt every running job."""
        await asyncio.gather(*map(self._interrupt, list(self._tasks)))

    async def _interrupt(self, key: str) -> None:
        kept, task = self._read(key), self._tasks[key]
        if kept is None or not kept.began:
            task.cancel()
            return
        await self._end(kept, "shutdown")

    def _name(self, key: str) -> str:
        return plan.container_name(key, self._layout.state)

    def _read(self, key: str) -> Kept | None:
        return self._unwritten.get(key) or read_json(self._file(key), Kept)

    def _try_write(self, kept: Kept) -> None:
        """Write down what happened; a full disk does not undo it, and the next process finds out again."""
        self._unwritten[kept.key] = kept
        try:
            self._write(kept)
        except Unavailable as error:
            _log.error("%s", error)
        else:
            del self._unwritten[kept.key]

    def _write(self, kept: Kept) -> Kept:
        folder = self._file(kept.key).parent
        if not self._swept:
            self._swept = True
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for old in read_all(folder, Kept):
                if old.outcome and old.started_at + _KEEP_SECONDS < self._clock.now():
                    self._file(old.key).unlink(missing_ok=True)
        write_json(self._file(kept.key), kept)
        return kept

    def _file(self, key: str) -> Path:
        return self._layout.containers / f"{safe_name(key)}.json"


class _Job:
    """One job on its way."""

    def __init__(
        self, runner: ContainerRunner, action: RunJob, key: str, secrets: Mapping[str, str]
    ) -> None:
        self._runner = runner
        self._engine = runner._engine
        self._layout = runner._layout
        self._action = action
        self.key = key
        self._secrets = secrets
        self._name = runner._name(key)
        self._tree = self._layout.work_tree(key)
        self._temporary = self._layout.temporary(key)
        self._log = self._layout.job_log(action.run, action.job.name, key)
        self._log_file = self._layout.log(self._log)
        heard = self._layout.containers / f"{safe_name(key)}.heard"
        self._hearing = Hearing(self._name, self._temporary, self._log_file, heard)
        beside = tuple(one.name for one in action.job.services if not one.image)
        own_logs = () if secrets else beside
        self.tenant = tenant(self._layout, key, self._log, own_logs, action.job.disk_bytes)
        images = tuple(one for one in action.job.services if one.image)
        self._services = Services(self._engine, key, self._layout.state, images, runner._bounds)
        self._connected = bool(images) or action.job.network

    async def run(self) -> JobDone:
        runner, key = self._runner, self.key
        kept = runner._read(key) or runner._write(Kept(key=key, started_at=runner._clock.now()))
        try:
            await apart(lambda: self._begin(kept))
        except StepFailed as error:
            ended = Ended(exit_code=1, seconds=self._seconds(kept), said=error.message)
            self._append(f"andon: {error.message}\n".encode())
        else:
            ended = await self._end_of(kept)
        return await self._conclude(ended)

    async def _conclude(self, ended: Ended) -> JobDone:
        latest = self._runner._read(self.key) or Kept(key=self.key, started_at=0)
        filled = latest.filled or await apart(lambda: self._filled(ended))
        ended = structs.replace(ended, ended_for=latest.ended_for, filled=filled)
        outcome = self._judged(ended)
        await apart(lambda: self._make_room(filled=bool(filled)))
        self._runner._try_write(structs.replace(latest, outcome=outcome))
        await apart(self._clear)
        return outcome

    def _filled(self, ended: Ended) -> str:
        """Say that it took too much of the disk; without a limit it may, as long as it passes."""
        if ended.exit_code == 0 and not self.tenant.limit_bytes:
            return ""
        return self.tenant.filled(self._layout.state)

    def _make_room(self, *, filled: bool) -> None:
        """Remove temporary files, and the work tree of one that took too much: what follows is written."""
        for folder in (self._temporary, *([self._tree] if filled else [])):
            with contextlib.suppress(OSError):
                remove_tree(folder)

    def _clear(self) -> None:
        for log in self.tenant.logs:
            shorten(log)
        self._engine.remove(self._name)
        if self._connected:
            self._services.remove()
        self._hearing.forget()

    # --- beginning -------------------------------------------------------------------------------

    def _begin(self, kept: Kept) -> None:
        if kept.began:
            return
        if not self._tree.is_dir():
            raise Unavailable(
                f"job {self._action.job.name} of run {self._action.run}: work tree deleted",
                hint="the next attempt checks it out again",
            )
        expect_room(self._layout.state)
        prepared = self._prepared()
        self._ensure_image(self._action.job.image)
        if self._connected:
            self._services.start(self._ensure_image, internal=not self._action.job.network)
        self._engine.create(self._name, self._config(prepared))
        self._runner._write(structs.replace(kept, began=True))

    def _prepared(self) -> Prepared:
        job = self._action.job
        inside = structs.replace(job, services=tuple(one for one in job.services if not one.image))
        try:
            (self._temporary / "home").mkdir(parents=True, exist_ok=True)
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            self._log_file.touch()
            prepared = prepare(
                inside,
                self.key,
                temporary=self._temporary,
                log=self._log_file,
                own_network=True,
            )
            if self._secrets:
                values.lay(self._temporary)
                self._hearing.lay()
            return prepared
        except OSError as error:
            raise unwritable(self._temporary, error) from error

    def _config(self, prepared: Prepared) -> plan.Json:
        return plan.of_job(
            self._action,
            prepared.text,
            key=self.key,
            tree=self._tree,
            temporary=self._temporary,
            log=None if self._secrets else self._log_file,
            env={**prepared.env, **self._services.env},
            network=self._services.network if self._connected else "none",
            hosts=self._services.hosts,
            bounds=self._runner._bounds,
        )

    def _ensure_image(self, image: str) -> None:
        if not self._engine.has_image(image):
            self._engine.pull(image)

    # --- its end ---------------------------------------------------------------------------------

    async def _end_of(self, kept: Kept) -> Ended:
        if self._secrets:
            self._hearing.begin(self._secrets.values())
        try:
            code, timed_out, out_of_memory = await self._ran(kept)
        except NotFound:  # Somebody has removed it.
            return Ended(exit_code=None, seconds=self._seconds(kept))
        finally:
            self._hearing.let_go()
        heard = await self._hearing.end()
        notes = self._temporary / FOLDER
        used = read_note(self._temporary / plan.USED)
        return Ended(
            exit_code=code if heard else None,
            heard=heard,
            seconds=self._seconds(kept),
            timeout_seconds=self._action.job.timeout_seconds if timed_out else None,
            out_of_memory=out_of_memory or plan.read_oom_kills(used) > 0,
            said=read_note(notes / "said").strip(),
            died=died(notes, [one.name for one in self._action.job.services if not one.image]),
            usage=plan.read_usage(used),
        )

    async def _ran(self, kept: Kept) -> tuple[int, bool, bool]:
        """Start it and wait; return its exit code, and whether its time or its memory was over."""
        await apart(lambda: self._engine.start(self._name))
        handing = asyncio.create_task(
            apart(lambda: values.hand_over(self._temporary, self._secrets))
        )
        try:
            code, timed_out = await self._wait(kept)
        finally:
            handing.cancel()
        found = await apart(lambda: self._engine.inspect(self._name))
        return code, timed_out, bool(found["State"].get("OOMKilled"))

    async def _wait(self, kept: Kept) -> tuple[int, bool]:
        """Wait for the end, or for the end of its time; return its exit code and which it was."""
        waiting = asyncio.create_task(apart(lambda: self._engine.wait(self._name)))
        left = kept.started_at + self._action.job.timeout_seconds - self._runner._clock.now()
        done, _ = await asyncio.wait((waiting,), timeout=max(0, left))
        if not done:
            await apart(lambda: self._engine.stop(self._name, _GRACE_SECONDS))
        return await waiting, not done

    def _seconds(self, kept: Kept) -> float:
        return max(0, self._runner._clock.now() - kept.started_at)

    def _judged(self, ended: Ended) -> JobDone:
        outcome = judge(ended, log=self._log, log_file=self._log_file, work_tree=self._tree)
        names = step_names(self._action.job)
        if not names:
            return outcome
        notes = self._temporary / FOLDER / "steps"
        return structs.replace(outcome, steps=read_steps(notes, names, outcome.state))

    def _append(self, text: bytes) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as log:
            log.write(Masker(self._secrets.values()).feed(text))


def _most_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 10 * 9
