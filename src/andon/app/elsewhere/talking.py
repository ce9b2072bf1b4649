"""What a worker elsewhere says to its control plane, for as long as it takes to be heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from andon.adapters.apart import apart
from andon.adapters.process.logs import read_chunk
from andon.api.v1.actions import ActionFailed, JobDone, RunJob
from andon.api.v1.answers import Beat, CheckOrder, Kit, Offer, Package
from andon.api.v1.checks import CheckResult, CheckSpec
from andon.client.wire import Client
from andon.kernel.errors import AndonError, Untrusted
from andon.ports.workers import LARGEST_PIECE_BYTES

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
WAIT_SECONDS = 20.0
"""For news, in one request: well within a lease."""
_BYTES = {"Content-Type": "application/octet-stream"}

_log = logging.getLogger("andon.worker")


class Leased(Struct, frozen=True, kw_only=True):
    """A job that this worker has, as it writes it down."""

    job: str
    lease: int
    key: str
    action: RunJob

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.action.run}/{self.action.job.name}"


class ControlPlane:
    """The control plane, asked again while it is away: it finds what it had been told.

    Args:
        client: The way there.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._away = False

    async def take(
        self,
        worker: str,
        *,
        labels: Sequence[str],
        at_once: int,
        version: str,
        holding: Sequence[str],
        wait_seconds: float,
    ) -> tuple[Leased | None, bool]:
        """Wait for a job; says, too, whether nothing new is offered."""
        body = {
            "worker": worker,
            "labels": list(labels),
            "atOnce": at_once,
            "version": version,
            "holding": list(holding),
            "waitSeconds": wait_seconds,
        }
        offer: Offer = await self._post("/work/take", body)
        if not offer["job"]:
            return None, offer["draining"]
        action = msgspec.json.decode(offer["action"], type=RunJob)
        leased = Leased(job=offer["job"], lease=offer["lease"], key=offer["key"], action=action)
        return leased, offer["draining"]

    async def begin(self, job: Leased) -> Kit:
        """Ask for what a job needs."""
        kit: Kit = await self._post(f"/work/{job.job}/begin", {"lease": job.lease})
        return kit

    async def beat(self, job: Leased) -> Beat:
        """Keep a lease; answered at once when the job is to end, else after a while."""
        body = {"lease": job.lease, "waitSeconds": WAIT_SECONDS}
        beat: Beat = await self._post(f"/work/{job.job}/beat", body)
        return beat

    async def end(self, job: Leased, outcome: JobDone | ActionFailed) -> None:
        """Answer a job."""
        written = msgspec.json.encode(outcome).decode()
        await self._post(f"/work/{job.job}/end", {"lease": job.lease, "outcome": written})

    async def checks(self, worker: str) -> dict[str, CheckSpec]:
        """Ask what of running systems this worker is to ask, by name."""
        said: list[CheckOrder] = await self._patiently(
            lambda: self._client.get(f"/workers/{worker}/checks")
        )
        return {one["name"]: msgspec.json.decode(one["spec"], type=CheckSpec) for one in said}

    async def tell(self, worker: str, results: Sequence[CheckResult]) -> None:
        """Tell what came of asking."""
        body = {"results": msgspec.to_builtins(results)}
        await self._post(f"/workers/{worker}/checks", body)

    async def fetch(self, job: Leased, package: Package, into: Path) -> None:
        """Bring bytes, going on where a try before ended.

        Raises:
            Untrusted: They are more than was said.
        """
        into.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = f"/work/{job.job}/blobs/{quote(package['digest'], safe='')}"
        with into.open("ab") as file:
            while (size := file.tell()) < package["sizeBytes"]:
                piece = await self._patiently(partial(self._piece, path, job.lease, size))
                file.write(piece)
                if not piece or file.tell() > package["sizeBytes"]:
                    into.unlink()
                    raise Untrusted(f"{package['digest']} did not come whole")

    def _piece(self, path: str, lease: int, offset: int) -> bytes:
        return b"".join(self._client.lines(path, {"lease": lease, "offset": offset or None}))

    async def send_log(self, job: Leased, file: Path, offset: int) -> int:
        """Send what a log has beyond an offset; returns how much of it is there by now.

        What was left out of its middle is not sent, but told.
        """
        data, following = read_chunk(file, offset, LARGEST_PIECE_BYTES)
        begin = following - len(data)
        asked = {"lease": job.lease, "offset": begin, "leftOutBytes": begin - offset}
        if not data or begin < offset:
            return offset
        return await self._send(f"/work/{job.job}/log", asked, data)

    async def send_blob(self, job: Leased, file: Path, digest: str) -> None:
        """Send a file that a job left."""
        size = file.stat().st_size
        query = {"lease": job.lease, "sizeBytes": size}
        path = f"/work/{job.job}/blobs/{quote(digest, safe='')}"
        offset = 0
        while offset < size:
            data = _read(file, offset)
            offset = await self._send(path, {**query, "offset": offset}, data)

    async def _send(self, path: str, asked: Mapping[str, Any], data: bytes) -> int:
        written = await self._patiently(
            lambda: self._client.ask("POST", path, query=asked, body=data, headers=_BYTES)
        )
        return int(written["sizeBytes"])

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._patiently(lambda: self._client.post(path, body))

    async def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask until somebody answers.

        Raises:
            AndonError: An answer that asking again does not change.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = await apart(ask)
            except AndonError as error:
                if not error.retry:
                    raise
                if not self._away:
                    _log.warning("%s; trying again until it answers", error.message)
                self._away = True
            else:
                self._away = False
                return answer
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _read(file: Path, offset: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(LARGEST_PIECE_BYTES)
