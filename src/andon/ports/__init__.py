"""Protocols for the outside world: one method per action, idempotent by the intent's key.

A method raises ``AndonError`` when it could not be carried out; the runtime turns that into an
``ActionFailed`` outcome. Cancellation of the awaiting task must leave nothing half-done that the same
key would not finish later.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from andon.api.v1.actions import (
    AddBackend,
    ArtifactPacked,
    BackendAdded,
    CancelJob,
    DeployReplicas,
    DesiredWritten,
    Done,
    Intent,
    JobDone,
    Notify,
    ObserveReplicas,
    ObserveTraffic,
    PackArtifact,
    RemoveBackend,
    ReplicasObserved,
    ReplicasReady,
    RetireReplicas,
    RunJob,
    SetWeights,
    TrafficObserved,
    WriteDesired,
)
from andon.api.v1.records import Version


class Commit(Struct, frozen=True, kw_only=True):
    """A commit as a source tells it."""

    sha: str
    author: str
    message: str
    committed_at: float
    parents: tuple[str, ...] = ()
    committer: str = ""


class Source(Protocol):
    """A repository that changes come from."""

    def resolve(self, repository: str, ref: str) -> Commit:
        """Find a commit by branch, tag or (abbreviated) sha.

        Raises:
            NotFound: No such ref, or no such repository.
            Unavailable: The repository cannot be reached.
        """
        ...

    def read(self, repository: str, sha: str, path: str) -> bytes | None:
        """Return a file's content at a commit; None if it is not there."""
        ...

    def checkout(self, repository: str, sha: str, into: Path) -> None:
        """Write the tree of a commit into an empty folder, running nothing from the repository."""
        ...

    def heads(self, repository: str) -> Mapping[str, str]:
        """Return the sha of every branch."""
        ...

    def changed(self, repository: str, before: str, sha: str) -> tuple[str, ...] | None:
        """Return the paths that differ between two commits; None where that cannot be known.

        Args:
            repository: Path or URL.
            before: Full sha of the earlier commit; it need not be there any more.
            sha: Full sha of the later one.

        Raises:
            NotFound: The later one is not there.
        """
        ...

    def digests(self, repository: str, sha: str) -> Mapping[str, str]:
        """Return what each file of a commit is, by path: equal for equal content and mode."""
        ...


class ArtifactStore(Protocol):
    """Content-addressed artifacts."""

    async def pack_artifact(self, action: PackArtifact, intent: Intent) -> ArtifactPacked:
        """Pack a work tree's folder."""
        ...

    def unpack(self, digest: str, into: Path) -> None:
        """Write an artifact's files into an empty folder, having verified the digest.

        Raises:
            NotFound: No such artifact.
            Untrusted: Its content does not match its digest.
        """
        ...


class DesiredState(Protocol):
    """The git repository that says what should run."""

    async def write_desired(self, action: WriteDesired, intent: Intent) -> DesiredWritten:
        """Commit by compare-and-swap."""
        ...

    def read(self, environment: str) -> Mapping[str, Version]:
        """Return the version desired for each service of an environment."""
        ...


class Executor(Protocol):
    """Runs jobs."""

    async def run_job(self, action: RunJob, intent: Intent) -> JobDone:
        """Run a job to its end; the same key finds the job that is already running or ended."""
        ...

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job's whole process group."""
        ...


class Target(Protocol):
    """Runs replicas."""

    async def deploy_replicas(self, action: DeployReplicas, intent: Intent) -> ReplicasReady:
        """Have the replicas ready."""
        ...

    async def observe_replicas(self, action: ObserveReplicas, intent: Intent) -> ReplicasObserved:
        """Look at them."""
        ...

    async def retire_replicas(self, action: RetireReplicas, intent: Intent) -> Done:
        """Stop them."""
        ...


class DataPlane(Protocol):
    """Shares traffic between versions and counts it."""

    async def add_backend(self, action: AddBackend, intent: Intent) -> BackendAdded:
        """Make a version reachable."""
        ...

    async def set_weights(self, action: SetWeights, intent: Intent) -> Done:
        """Set the shares; durable (a restart keeps them) before it answers."""
        ...

    async def remove_backend(self, action: RemoveBackend, intent: Intent) -> Done:
        """Drain and forget a version."""
        ...

    async def observe_traffic(self, action: ObserveTraffic, intent: Intent) -> TrafficObserved:
        """Read the counts."""
        ...


class Notifier(Protocol):
    """Tells people and programs."""

    async def notify(self, action: Notify, intent: Intent) -> Done:
        """Deliver at least once, with the key as ``Idempotency-Key``."""
        ...
