"""Talking to HAProxy's workers over their sockets, also to those that only finish old connections.

A worker keeps running while somebody holds a connection to its command socket. The agent holds one to
every worker, so that a worker which has been replaced still hears of new weights and still tells its
last counts, instead of taking them with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
from pathlib import Path

from msgspec import Struct

from andon.adapters.haproxy.model import Front
from andon.adapters.haproxy.render import backend_name, map_path, render_map
from andon.adapters.haproxy.slots import weights_of
from andon.kernel.errors import InternalError, Unavailable

_PROMPT = b"\n> "
_ANSWER_SECONDS = 5.0
_MASTER_TRIES, _MASTER_PAUSE_SECONDS = 100, 0.02
_RESPONSES = tuple(f"hrsp_{kind}" for kind in ("1xx", "2xx", "3xx", "4xx", "5xx", "other"))


class Totals(Struct, frozen=True):
    """HAProxy's own count of a backend, and how many requests are in it now."""

    requests: int = 0
    errors: int = 0
    running: int = 0

    def plus(self, other: Totals) -> Totals:
        """Add another worker's count."""
        return Totals(
            self.requests + other.requests,
            self.errors + other.errors,
            self.running + other.running,
        )


def parse_stat(text: str) -> dict[str, Totals]:
    """Read the answer to ``show stat`` about backends."""
    rows = csv.DictReader(text.removeprefix("# ").splitlines())
    return {
        row["pxname"]: Totals(
            requests=sum(int(row[column] or 0) for column in _RESPONSES),
            errors=int(row["hrsp_5xx"] or 0),
            running=int(row["scur"] or 0) + int(row["qcur"] or 0),
        )
        for row in rows
        if row["svname"] == "BACKEND"
    }


def parse_info(text: str) -> dict[str, str]:
    """Read the answer to ``show info``."""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {name: value for name, _, value in pairs}


def parse_leaving(text: str) -> frozenset[int]:
    """Read the old workers out of the master's answer to ``show proc``."""
    _, _, rest = text.partition("# old workers")
    lines = rest.partition("#")[0].splitlines()
    return frozenset(int(line.split()[0]) for line in lines if line.strip())


class Worker:
    """One worker, through a connection that lasts."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._lock = asyncio.Lock()
        self.backends: frozenset[str] = frozenset()
        """Those in its configuration, which never changes."""

    def serves(self, front: Front) -> bool:
        """Say whether it has a version that traffic is meant for, or that none is."""
        meant = {backend_name(front, version) for version in weights_of(front.spans)}
        return not meant or not meant.isdisjoint(self.backends)

    async def ask(self, command: str) -> str:
        """Send a command and return the answer.

        Raises:
            Unavailable: The worker is gone.
        """
        # A caller that is cancelled must not leave its answer to the next one.
        return await asyncio.shield(asyncio.create_task(self._exchange(command)))

    @property
    def closed(self) -> bool:
        """The connection is of no use any more."""
        return self._writer.is_closing()

    async def _exchange(self, command: str) -> str:
        async with self._lock:
            try:
                self._writer.write(command.encode() + b"\n")
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await self._reader.readuntil(_PROMPT)
            except (OSError, EOFError, TimeoutError) as error:
                self._writer.close()  # a late answer must not be taken for the next one's
                raise Unavailable(f"HAProxy did not answer {command.split()[0]!r}.") from error
        return answer.removesuffix(_PROMPT).decode(errors="replace").strip()

    async def set_map(self, front: Front) -> None:
        """Replace a map as a whole; the next request sees it."""
        path = map_path(front)
        version = (await self.ask(f"prepare map {path}")).rpartition(":")[2].strip()
        if not version.isdigit():
            return  # a worker from before this service was there
        for entry in render_map(front, self.backends).splitlines():
            await self._expect_silence(f"add map @{version} {path} {entry}")
        await self._expect_silence(f"commit map @{version} {path}")

    async def totals(self) -> dict[str, Totals]:
        """Read HAProxy's own counts."""
        return parse_stat(await self.ask("show stat -1 2 -1"))

    async def info(self) -> dict[str, str]:
        """Read what the worker says about itself."""
        return parse_info(await self.ask("show info"))

    def close(self) -> None:
        """Let the worker go."""
        self._writer.close()

    async def _expect_silence(self, command: str) -> None:
        answer = await self.ask(command)
        if answer:
            raise InternalError(f"HAProxy refused {command!r}: {answer}")


class SocketFolder:
    """Opens Unix sockets of a folder whose path may be longer than a socket address can be."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Close the folder."""
        os.close(self._fd)

    async def connect(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a socket by its name."""
        limit = 1 << 24
        return await asyncio.open_unix_connection(f"/proc/self/fd/{self._fd}/{name}", limit=limit)

    async def worker(self, name: str) -> Worker:
        """Connect to a worker's command socket.

        Raises:
            OSError: Nobody listens there (yet).
            Unavailable: It does not answer.
        """
        worker = Worker(*await self.connect(name))
        await worker.ask("prompt")
        worker.backends = frozenset(await worker.totals())
        return worker

    async def _master(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the master, which is away for a moment whenever it executes itself anew."""
        for _ in range(_MASTER_TRIES):
            try:
                return await self.connect(name)
            except OSError:
                await asyncio.sleep(_MASTER_PAUSE_SECONDS)
        raise Unavailable("HAProxy's master process does not answer.")

    async def leaving(self, master: str) -> frozenset[int]:
        """Ask the master for the pids of workers that were replaced and still finish."""
        reader, writer = await self._master(master)
        try:
            writer.write(b"show proc\n")
            writer.write_eof()
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await reader.read()
        finally:
            writer.close()
        return parse_leaving(answer.decode(errors="replace"))

    async def reload(self, master: str) -> str:
        """Ask the master for new workers; return what it says (nothing in HAProxy 2.6)."""
        reader, writer = await self._master(master)
        writer.write(b"reload\n")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await reader.read()
        except (ConnectionResetError, TimeoutError):
            answer = b""
        finally:
            writer.close()
        return answer.decode(errors="replace").strip()


class Fleet:
    """All workers: the one in charge and those that finish. Their counts add up to one.

    ``lost`` becomes true when a worker vanished with counts that nobody read.
    """

    def __init__(self) -> None:
        self.current: Worker | None = None
        self.leaving: list[Worker] = []
        self.lost = False
        self.strangers: frozenset[int] = frozenset()
        """Workers of an earlier agent that still finish: nobody reads their own counts."""
        self._gone: dict[str, Totals] = {}
        self._lock = asyncio.Lock()

    @property
    def workers(self) -> list[Worker]:
        """Every worker."""
        return [*self.leaving, *([self.current] if self.current else [])]

    def hand_over(self, worker: Worker) -> None:
        """Put a new worker in charge; the former one leaves."""
        if self.current:
            self.leaving.append(self.current)
        self.current = worker

    def drop(self) -> None:
        """Let all go."""
        for worker in self.workers:
            worker.close()
        self.current, self.leaving, self.lost, self._gone = None, [], False, {}
        self.strangers = frozenset()

    async def totals(self) -> dict[str, Totals]:
        """Add up the counts of all workers, past and present."""
        async with self._lock:
            total = dict(self._gone)
            for worker in self.leaving:
                with contextlib.suppress(Unavailable):
                    _add(total, await worker.totals())
            _add(total, await self._in_charge().totals())
            return total

    async def set_map(self, front: Front) -> None:
        """Change the weights in every worker.

        Raises:
            Unavailable: The one in charge does not answer.
        """
        for worker in self.leaving:
            with contextlib.suppress(Unavailable):
                await worker.set_map(front)
        await self._in_charge().set_map(front)

    async def info(self) -> dict[str, str]:
        """Read what the worker in charge says about itself."""
        return await self._in_charge().info()

    async def idle(self, front: Front, backend: str) -> bool:
        """Say whether no worker has a request for a backend, nor could have to send one there."""
        running = (await self.totals()).get(backend, Totals()).running
        return not running and all(worker.serves(front) for worker in self.leaving)

    async def tend(self) -> None:
        """Take the last counts of workers that have nothing left to do, and let them go."""
        async with self._lock:
            for worker in list(self.leaving):
                await self._tend(worker)

    def _in_charge(self) -> Worker:
        if self.current is None:
            raise Unavailable("The gateway's HAProxy is being restarted.")
        return self.current

    async def _tend(self, worker: Worker) -> None:
        try:
            info = await worker.info()
            if info["Stopping"] == "0" or info["CurrConns"] != "0":
                return
            last = await worker.totals()
        except Unavailable:
            if worker not in self.leaving:
                return  # all were let go meanwhile
            self.lost = True  # hard-stop-after ended it
        else:
            _add(self._gone, {name: Totals(t.requests, t.errors) for name, t in last.items()})
        worker.close()
        self.leaving.remove(worker)


def _add(total: dict[str, Totals], more: dict[str, Totals]) -> None:
    for name, totals in more.items():
        total[name] = total.get(name, Totals()).plus(totals)
