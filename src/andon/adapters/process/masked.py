"""Processes with secrets: what they print reaches their log through a masker, which lives as long."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from andon.adapters.process import dumps, procfs
from andon.adapters.process.spawn import Group, Watched, spawn
from andon.api.v1.actions import RunJob
from andon.kernel.errors import Denied, InvalidDocument, StepFailed, Unavailable

_DRAIN_SECONDS = 10.0
_MASKER = (sys.executable, "-P", "-m", "andon.adapters.process.masker")

_log = logging.getLogger("andon.masked")


class Masking:
    """The masker of a group of processes.

    Args:
        group: The group.
        masker: The masker, if it still runs.
        heard: The file that it leaves once it has told all, if it was asked for one.
    """

    def __init__(self, group: Group, masker: Watched | None, heard: Path | None = None) -> None:
        self._group = group
        self._masker = masker
        self._heard = heard
        self._guard = asyncio.create_task(self._end_with_it(masker)) if masker else None

    @classmethod
    def found(cls, group: Group, heard: Path | None = None) -> Masking:
        """Find the masker that an earlier agent started."""
        leader = _group_of_masker(group).find_leader()
        return cls(group, Watched(leader) if leader else None, heard)

    @property
    def is_there(self) -> bool:
        """Whether a masker runs."""
        return self._masker is not None and self._masker.alive

    async def end(self) -> bool:
        """Wait until all is told that the group, which is over, has printed.

        Returns:
            Whether the masker outlived the group. If not, the group's own end may only say that nobody
            heard it any more: a shell fails when it cannot print.
        """
        if self._masker is None or self._guard is None:
            return self._is_heard(None)
        self._guard.cancel()
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                return self._is_heard(await self._masker.wait())
        except TimeoutError:  # A process that left its group still holds the line.
            await _group_of_masker(self._group).kill()
            await self._masker.wait()
            return True

    def _is_heard(self, code: int | None) -> bool:
        """Say whether a masker that ended so, or none knows how, had told all."""
        if code is not None or self._heard is None:
            return not code
        return self._heard.exists()

    async def _end_with_it(self, masker: Watched) -> None:
        """End the group if its masker ended before: nobody would hear it any more.

        One that ended well, as nobody could print any more, is of no matter; of one that an earlier
        agent started it is not known how it ended.
        """
        code = await masker.wait()
        if code != 0 and self._group.members():
            _log.error("the masker of %s has ended; so does the process", self._group.marker)
            await self._group.kill()


def refuse_strangers(action: RunJob) -> None:
    """Give a stranger's unreviewed change no secrets, whoever asked for it.

    Raises:
        Denied: Its job names some.
    """
    if action.job.secrets and not action.trusted:
        raise Denied(
            f"job {action.job.name} of an unreviewed change names secrets, and gets none",
            hint="review the change, or leave the secret out of jobs that strangers' changes run",
        )


def expect_values(refs: Iterable[str], values: Mapping[str, str]) -> None:
    """Check that there is a value for every secret that is named.

    Raises:
        InvalidDocument: One is missing.
        StepFailed: One cannot be in an environment.
    """
    missing = sorted(set(refs) - set(values))
    if missing:
        raise InvalidDocument(f"no value came with the secrets {', '.join(missing)}")
    broken = sorted(name for name, value in values.items() if "\0" in value)
    if broken:
        raise StepFailed(
            f"the secrets {', '.join(broken)} contain a null byte, which no environment can carry",
            hint="`andon secret rotate` sets another value, such as its base64",
        )


def spawn_masked(
    script: str,
    arguments: Sequence[str],
    *,
    group: Group,
    folder: Path,
    log: Path,
    env: Mapping[str, str],
    secrets: Mapping[str, str],
    memory_bytes: int | None = None,
    heard: Path | None = None,
) -> tuple[Watched, Masking | None]:
    """Start a shell script as ``spawn`` does; secrets come into its environment, not into its log.

    Args:
        script: As ``spawn`` takes it, and so are those that are not named here.
        arguments: The script's.
        group: What its processes are known by.
        folder: Where it runs.
        log: What it prints goes there, masked.
        env: Its environment, but for the secrets.
        secrets: Values by name.
        memory_bytes: Its limit without a cgroup.
        heard: A file that says, even to a later agent, that the masker has told all.

    Raises:
        Unavailable: The machine cannot start it, or its masker.
    """
    if not secrets:
        start = partial(spawn, script, arguments, group=group, folder=folder, env=env)
        return start(log=log, memory_bytes=memory_bytes), None
    dumps.keep_mine()
    with dumps.keeping_childrens():
        masker, output = _start_masker(group, log, secrets.values(), heard)
        try:
            watched = spawn(
                script,
                arguments,
                group=group,
                folder=folder,
                log=output,
                env={**env, **secrets},
                memory_bytes=memory_bytes,
            )
        finally:
            os.close(output)
    for started in (masker, watched):
        dumps.bar(started.identity.pid)
    return watched, Masking(group, masker, heard)


def _start_masker(
    group: Group, log: Path, values: Iterable[str], heard: Path | None
) -> tuple[Watched, int]:
    """Return a masker that appends to a log, and the descriptor that leads to it."""
    reading, writing = os.pipe()
    try:
        return start_masker(group, log, values, heard, reading), writing
    except Unavailable:
        os.close(writing)
        raise


def start_masker(
    group: Group, log: Path, values: Iterable[str], heard: Path | None, reading: int
) -> Watched:
    """Start a masker.

    Args:
        group: What the processes that print are known by.
        log: It appends there.
        values: What it hides.
        heard: A file that it leaves once it has told all.
        reading: What it listens to; closed here.

    Raises:
        Unavailable: The machine cannot start it.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output, os.fdopen(os.memfd_create("values"), "wb") as file:
            file.write(json.dumps(list(values)).encode())
            file.flush()
            file.seek(0)
            child = subprocess.Popen(
                [*_MASKER, str(file.fileno()), *([str(heard)] if heard else [])],
                env={**_python_path(), procfs.MARKER: _group_of_masker(group).marker},
                stdin=reading,
                stdout=output,
                stderr=subprocess.DEVNULL,
                pass_fds=[file.fileno()],
                start_new_session=True,
            )
    except OSError as error:
        raise Unavailable(
            f"cannot start the masker of {log}: {error.strerror}", hint="`andon doctor`"
        ) from error
    finally:
        os.close(reading)
    return Watched(procfs.identify(child.pid) or procfs.ProcessId(child.pid, 0), child)


def _group_of_masker(group: Group) -> Group:
    return Group(marker=f"{group.marker}.masker")


def _python_path() -> dict[str, str]:
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": path} if path else {}
