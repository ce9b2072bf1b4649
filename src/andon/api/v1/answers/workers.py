"""Workers elsewhere."""

from __future__ import annotations

from typing import Annotated, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time


class RemoteWorker(TypedDict):
    """A worker on another machine."""

    name: str
    labels: list[str]
    state: Annotated[str, Meta(description="`ready`, `busy`, `draining`, `drained` or `lost`.")]
    jobs: Annotated[list[str], Meta(description="What it runs, as `run/job`.")]
    atOnce: int
    by: Annotated[str, Meta(description="Whose token it uses.")]
    version: str
    seenAt: Time
    drainedBy: str


class Offer(TypedDict):
    """A job to run, or nothing to do."""

    job: Annotated[str, Meta(description="Names it from now on; empty: there is none.")]
    lease: Annotated[int, Meta(description="Goes with everything that is said of it.")]
    key: Annotated[str, Meta(description="Idempotency key of its intent.")]
    action: Annotated[str, Meta(description="What to run: a `RunJob` as JSON.")]
    leaseSeconds: Annotated[float, Meta(description="A sign of life is due well before.")]
    draining: Annotated[bool, Meta(description="Nothing new is offered.")]


class Package(TypedDict):
    """Bytes to fetch."""

    digest: str
    sizeBytes: int


class Kit(TypedDict):
    """What a job needs."""

    tree: Annotated[Package, Meta(description="Its work tree, as a tar.")]
    blobs: Annotated[list[Package], Meta(description="Files of jobs that it needs.")]
    secrets: Annotated[dict[str, str], Meta(description="Values by environment variable.")]


class Beat(TypedDict):
    """The lease goes on."""

    cancelled: Annotated[bool, Meta(description="The job is to end.")]


class Written(TypedDict):
    """How much is there."""

    sizeBytes: int


class Ended(TypedDict):
    """A job whose answer is kept."""

    job: str
    state: str
