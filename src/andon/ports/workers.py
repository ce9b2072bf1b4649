"""Workers elsewhere: how they take jobs, show that they live, and answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from andon.api.v1 import answers
from andon.api.v1.access import Identity
from andon.ports.asking import Asked

LARGEST_PIECE_BYTES = 1 << 20
"""Of a log or blob, in one request, which may not be larger."""
LEASE_SECONDS = 60.0
"""A worker that gives no sign for so long is lost, and so is what it runs."""
FIRST_LEASE_SECONDS = 10.0
"""A job that was offered and not begun within this time is offered to others."""


class Hand(Struct, frozen=True, kw_only=True):
    """A worker, and the lease of the job that it speaks of.

    Args:
        who: The identity that its token lets in.
        job: Name of the job.
        lease: Number of its lease.
    """

    who: Identity
    job: str
    lease: int


class WorkerService(Protocol):
    """Workers, as they and people meet them.

    Every method that takes a ``Hand`` raises ``Fenced`` when another lease counts by now, and ``NotFound``
    when there is no such job.
    """

    async def list(self) -> list[answers.RemoteWorker]:
        """List workers elsewhere, and what they do."""
        ...

    async def drain(self, name: str, *, asked: Asked) -> answers.RemoteWorker:
        """Have a worker take nothing new; what it runs goes on."""
        ...

    async def resume(self, name: str, *, asked: Asked) -> answers.RemoteWorker:
        """Have a worker take jobs again."""
        ...

    async def take(
        self,
        who: Identity,
        worker: str,
        *,
        labels: Sequence[str],
        at_once: int,
        version: str,
        holding: Sequence[str],
        wait_seconds: float,
        gone: Callable[[], Awaitable[bool]],
    ) -> answers.Offer:
        """Wait for a job that a worker can run, and lease it.

        Args:
            who: Who asks.
            worker: Its name.
            labels: What it has.
            at_once: How many jobs it runs at a time.
            version: Its Andon.
            holding: Jobs that it knows to be its own: what is leased to it besides is offered again, as the
                answer that said so was lost.
            wait_seconds: Longest wait.
            gone: Says whether nobody hears the answer any more.

        Raises:
            Conflict: The name is another one's.
        """
        ...

    async def begin(self, hand: Hand, *, private: bool) -> answers.Kit:
        """Return what a job needs: its tree, blobs, and secrets.

        Args:
            hand: Who asks, for which job.
            private: Whether nobody else can hear the answer.

        Raises:
            Denied: It has secrets, and somebody could.
        """
        ...

    async def piece(self, hand: Hand, digest: str, offset: int) -> bytes:
        """Return the next bytes of something that ``begin`` named; fewer than a piece at its end."""
        ...

    async def beat(
        self, hand: Hand, *, wait_seconds: float, gone: Callable[[], Awaitable[bool]]
    ) -> answers.Beat:
        """Keep a lease; says at once when its job is to end, else after that time."""
        ...

    async def write_log(
        self, hand: Hand, offset: int, data: bytes, *, left_out_bytes: int = 0
    ) -> answers.Written:
        """Add to a job's log; says how much of it there is, which is where to go on.

        So many bytes before the offset may be missing, as the log is too long.
        """
        ...

    async def write_blob(
        self, hand: Hand, digest: str, offset: int, size_bytes: int, data: bytes
    ) -> answers.Written:
        """Add to a blob; the whole of it counts once it has its digest.

        Raises:
            Untrusted: It has another one.
        """
        ...

    async def end(self, hand: Hand, outcome: bytes) -> answers.Ended:
        """Answer a job, once: the same answer again changes nothing."""
        ...
