"""Processes that need nobody: own session, own log file, own cgroup, found again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from andon.adapters.process import procfs
from andon.adapters.process.cgroups import Cgroup
from andon.adapters.process.usage import Usage, wait_and_measure
from andon.kernel.errors import Unavailable

_POLL_SECONDS = 0.02
_KILL_SECONDS = 10.0
_SET_CHILD_SUBREAPER = 36  # prctl(2)
_LEADERS: set[int] = set()
"""Leaders that this process started and has not seen end: what they are, no orphan is."""


def inherit_orphans() -> int:
    """Become the parent of whatever loses its own below this process; return who that is."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return os.getpid()


def see_off(pids: Iterable[int]) -> None:
    """Let the kernel forget inherited processes that have ended."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _is_ended_orphan(child: int) -> bool:
    """Say whether a child of ours has ended that is neither in our session nor leads one of its own.

    Whatever we start ourselves, and ask about later, is either.
    """
    return procfs.session_of(child) not in (0, os.getsid(0), child) and procfs.is_zombie(child)


class Group(Struct, frozen=True, kw_only=True):
    """Every process that one start led to.

    Args:
        marker: Value of ``ANDON_PROCESS`` in their environment.
        cgroup: Where they live.
        leader: The first of them, if it was recorded.
        reaper: This process inherits every orphan of theirs (see ``inherit_orphans``); 0: nobody does.
    """

    marker: str
    cgroup: Cgroup = Cgroup()
    leader: procfs.ProcessId | None = None
    reaper: int = 0

    def members(self) -> set[int]:
        """Return the pids of all that run."""
        if self.reaper == os.getpid() and not self.cgroup.folders:
            return self._inherited()
        leader = {self.leader.pid} if self.leader and procfs.is_alive(self.leader) else set()
        if self.cgroup.folders:
            return leader | {pid for pid in self.cgroup.members() if procfs.identify(pid)}
        session = procfs.in_session(self.leader) if self.leader else set()
        return session | procfs.marked(self.marker)

    def _inherited(self) -> set[int]:
        """Look only among what is below this process, instead of at all of the machine."""
        mine = self.leader.pid if self.leader else 0
        others = _LEADERS - {mine}
        top = [child for child in procfs.own_children() if child not in others]
        see_off(filter(_is_ended_orphan, top))
        below = procfs.with_descendants(top)
        if not below:
            return below
        found = procfs.marked(self.marker, below)
        if self.leader and procfs.is_alive(self.leader):
            found |= {pid for pid in procfs.with_descendants([mine]) if procfs.identify(pid)}
            found |= procfs.in_session(self.leader, below)
        return found

    def find_leader(self) -> procfs.ProcessId | None:
        """Find the running leader, even if whoever started it died before writing it down."""
        if self.leader is not None:
            return self.leader if procfs.is_alive(self.leader) else None
        leaders = (pid for pid in procfs.marked(self.marker) if procfs.session_of(pid) == pid)
        return next(filter(None, map(procfs.identify, leaders)), None)

    async def stop(self, grace_seconds: float) -> None:
        """Ask all to end, wait, then kill the rest."""
        self._signal(signal.SIGTERM)
        if not await self._empty_within(grace_seconds):
            await self.kill()
        self.cgroup.remove()

    async def kill(self) -> None:
        """Kill all, until none is left.

        Raises:
            Unavailable: One cannot be killed (it hangs in the kernel).
        """
        deadline = time.monotonic() + _KILL_SECONDS
        killed: set[int] = set()
        while members := self.members():
            killed |= members
            self.cgroup.kill()
            self._signal(signal.SIGKILL)
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"processes {sorted(self.members())} cannot be killed",
                    hint="look at `ps -o pid,stat,wchan` for state D: a disk or network mount hangs",
                )
            await asyncio.sleep(_POLL_SECONDS)
        self.cgroup.remove()
        if self.reaper == os.getpid():
            see_off(killed - ({self.leader.pid} if self.leader else set()))

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.members():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    async def _empty_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.members():
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True


async def kill_marked_below(prefix: str) -> None:
    """Kill all processes whose marker begins so, until none is left or they cannot be killed."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (found := procfs.marked_below(prefix)) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(_POLL_SECONDS)


class Watched:
    """A process whose end can be awaited, whether it is our child or was adopted."""

    def __init__(
        self, identity: procfs.ProcessId, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.identity = identity
        self._child = child
        self._code: int | None = None
        self._ended = asyncio.Event()
        self.usage = Usage()
        self._watch()

    def _watch(self) -> None:
        try:
            self._descriptor = os.pidfd_open(self.identity.pid)
        except ProcessLookupError:
            self._ended.set()
            return
        if self._child is None and not procfs.is_alive(self.identity):
            os.close(self._descriptor)
            self._ended.set()
            return
        asyncio.get_running_loop().add_reader(self._descriptor, self._on_end)

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._ended.set()

    async def wait(self) -> int | None:
        """Wait for the end.

        Returns:
            Its exit code, negative for a signal; None if nobody knows, as of one that was not our child.
        """
        await self._ended.wait()
        if self._child is not None and self._child.returncode is None:
            self._code, self.usage = wait_and_measure(self._child.pid)
            self._child.returncode = self._code or 0  # No zombie is left for it to look after.
            _LEADERS.discard(self._child.pid)
        return self._code

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._ended.is_set()


def spawn(
    script: str,
    arguments: Sequence[str],
    *,
    group: Group,
    folder: Path,
    log: Path | int,
    env: Mapping[str, str],
    memory_bytes: int | None = None,
) -> Watched:
    """Start a shell script as leader of a new session that first enters its cgroup.

    Args:
        script: Shell text; ``$@`` are the arguments. Empty: they are the command itself.
        arguments: What the script runs.
        group: The group it shall belong to.
        folder: Where it runs.
        log: Receives what it prints: a file, which is appended to, or an open descriptor.
        env: Its whole environment.
        memory_bytes: Bound of its address space, where cgroups cannot limit memory.

    Raises:
        Unavailable: The machine cannot start it.
    """
    before = _enter(group.cgroup, memory_bytes)
    if before and not script:
        script = 'exec "$@"'
    command = ["/bin/sh", "-c", before + script, "andon", *arguments] if script else [*arguments]
    try:
        with _opened(log) as output:
            child = subprocess.Popen(
                command,
                cwd=folder,
                env={**env, procfs.MARKER: group.marker},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise Unavailable(
            f"cannot start a process in {folder}: {error.strerror}", hint="`andon doctor`"
        ) from error
    _LEADERS.add(child.pid)
    identity = procfs.identify(child.pid) or procfs.ProcessId(child.pid, 0)
    return Watched(identity, child)


@contextlib.contextmanager
def _opened(log: Path | int) -> Iterator[int]:
    if isinstance(log, int):
        yield log
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        descriptor = os.open(log, flags, 0o666)
    except FileNotFoundError:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, flags, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(cgroup: Cgroup, memory_bytes: int | None) -> str:
    lines = [f"echo $$ > {shlex.quote(folder + '/cgroup.procs')} || :" for folder in cgroup.folders]
    if memory_bytes is not None:
        lines.append(f"ulimit -v {memory_bytes // 1024}")
    return "".join(f"{line}\n" for line in lines)
