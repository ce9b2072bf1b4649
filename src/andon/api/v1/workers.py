"""Records of workers elsewhere, and of the jobs that are for them."""

from __future__ import annotations

from andon.api.v1.words import Record


class WorkerSpec(Record, kw_only=True, frozen=True):
    """A program on another machine that runs jobs. The object's name is the worker's.

    Args:
        by: Who it is, ``service:<token>``; nobody else goes by its name.
        labels: What it has; it is given jobs that ask for nothing else.
        at_once: So many jobs at a time.
        version: Its Andon.
    """

    by: str
    labels: tuple[str, ...] = ()
    at_once: int = 1
    version: str = ""


class WorkerStatus(Record, kw_only=True, frozen=True):
    """Whether a worker is there, and whether it may take more."""

    seen_at: float = 0
    drained_by: str = ""
    """Who asked that it takes nothing new; empty: it may."""


class RemoteJobSpec(Record, kw_only=True, frozen=True):
    """A job that a worker elsewhere is to run: the key of its intent, and what it is.

    Its action is JSON: values of a language that no answer shows.
    """

    key: str
    action: str
    labels: tuple[str, ...]
    run: str
    job: str
    asked_at: float


class RemoteJobStatus(Record, kw_only=True, frozen=True):
    """Who runs a job, by which lease, and how it ended.

    Args:
        worker: Who has taken it.
        holder: The token it came with.
        lease: Number of the lease; whoever comes with another one is too late.
        until: Without a sign of the worker until then, it is lost.
        taken_at: When.
        begun: It may have been started: nobody may start it again.
        cancelled: It is to end.
        outcome: How it ended (JSON); empty: not yet.
        ended_at: When.
    """

    worker: str = ""
    holder: str = ""
    lease: int = 0
    until: float = 0
    taken_at: float = 0
    begun: bool = False
    cancelled: bool = False
    outcome: str = ""
    ended_at: float = 0
