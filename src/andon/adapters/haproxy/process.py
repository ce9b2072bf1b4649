"""The HAProxy master process: started in a session of its own, adopted again by pid and start time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from andon.adapters.haproxy.binary import HAProxyBinary
from andon.adapters.haproxy.model import write_durably
from andon.kernel.errors import InternalError, Unavailable

CONFIG, CANDIDATE, LOG, MASTER, IDENTITY = (
    "haproxy.cfg",
    "candidate.cfg",
    "haproxy.log",
    "master.sock",
    "process.json",
)
STOP_SECONDS = 5.0


class Identity(Struct, frozen=True):
    """A process, told apart from a later one with the same pid."""

    pid: int
    start_ticks: int


def identity_of(pid: int) -> Identity | None:
    """Look a process up; None if it is gone or has only to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else Identity(pid, int(fields[19]))


class MasterProcess:
    """HAProxy in master-worker mode, with its folder as working directory.

    Args:
        folder: Holds configuration, sockets, maps and logs.
        binary: What to run.
        on_death: Called once when the process ends without having been told to.
    """

    def __init__(self, folder: Path, binary: HAProxyBinary, on_death: Callable[[], None]) -> None:
        self.folder = folder
        self.binary = binary
        self._on_death = on_death
        self._identity: Identity | None = None
        self._watch: int | None = None

    @property
    def pid(self) -> int | None:
        """The master's pid while it lives."""
        alive = self._identity and identity_of(self._identity.pid) == self._identity
        return self._identity.pid if self._identity and alive else None

    async def install(self, config: str) -> None:
        """Put a configuration in place for the next start or reload, if it is valid.

        Raises:
            InternalError: HAProxy does not accept it.
        """
        write_durably(self.folder / CANDIDATE, config.encode())
        check = await asyncio.create_subprocess_exec(
            *(self.binary.path, "-c", "-C", self.folder, "-f", CANDIDATE),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await check.communicate()
        if check.returncode != 0:
            said = output.decode(errors="replace").strip()
            raise InternalError(f"HAProxy refused the gateway's new configuration: {said}")
        (self.folder / CANDIDATE).replace(self.folder / CONFIG)

    def adopt(self) -> bool:
        """Find the process that an earlier agent started; say whether it still runs."""
        try:
            saved = msgspec.json.decode((self.folder / IDENTITY).read_bytes(), type=Identity)
        except (FileNotFoundError, msgspec.DecodeError):
            return False
        if identity_of(saved.pid) != saved:
            return False
        self._take(saved)
        return True

    def start(self) -> None:
        """Start HAProxy with the configuration in place."""
        self._unwatch()
        path, log = os.fspath(self.binary.path), os.fspath(self.folder / LOG)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            path,
            (path, "-W", "-C", self.folder, "-S", f"unix@{MASTER},mode,600", "-f", CONFIG),
            os.environ,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ),
            setsid=True,
        )
        identity = identity_of(pid)
        if identity is None:
            _reap(pid)
            raise Unavailable(f"HAProxy ended as soon as it was started: {self.last_words()}")
        self._take(identity)
        write_durably(self.folder / IDENTITY, msgspec.json.encode(identity))

    def kill_remains(self) -> None:
        """End workers that a dead master left behind."""
        if self._identity and self.pid is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._identity.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End HAProxy and all its workers."""
        identity, watch = self._identity, self._watch
        if identity is None or watch is None:
            return
        asyncio.get_running_loop().remove_reader(watch)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(identity.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await _ended(watch)
        self._unwatch()
        _reap(identity.pid)
        (self.folder / IDENTITY).unlink(missing_ok=True)
        self._identity = None

    def let_go(self) -> None:
        """Stop watching; HAProxy goes on."""
        self._unwatch()

    def last_words(self) -> str:
        """Return the end of HAProxy's own log, for messages."""
        try:
            lines = (self.folder / LOG).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "it said nothing"
        alerts = [line for line in lines[-30:] if "[ALERT]" in line]
        return " | ".join((alerts or lines)[-3:])

    def _take(self, identity: Identity) -> None:
        self._identity = identity
        self._watch = os.pidfd_open(identity.pid)
        asyncio.get_running_loop().add_reader(self._watch, self._died)

    def _died(self) -> None:
        self._unwatch()
        if self._identity:
            _reap(self._identity.pid)
        self._on_death()

    def _unwatch(self) -> None:
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = None


async def _ended(pidfd: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
