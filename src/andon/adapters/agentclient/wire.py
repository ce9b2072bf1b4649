"""What goes over the agent's socket: one JSON document a line."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from andon.adapters.process.capabilities import Capabilities
from andon.api.v1 import actions
from andon.api.v1.definitions import MetricsEndpoint
from andon.api.v1.requests import RecentRequests

LINE_LIMIT_BYTES = 8 * 1024 * 1024


class Request(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call.

    Args:
        id: Names the answer.
        method: What to do.
        epoch: The caller's fencing token; None: not fenced.
        key: Idempotency key.
        params: Depends on the method.
        secrets: Values beside the parameters, by environment variable; in no text about the call.
    """

    id: int
    method: str
    epoch: int | None = None
    key: str = ""
    params: Raw = Raw(b"{}")
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Request(id={self.id}, method={self.method!r}, key={self.key!r})"


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An ``AndonError`` on its way."""

    code: str
    message: str
    hint: str = ""


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call's answer: a result or an error."""

    id: int
    result: Raw = Raw(b"null")
    error: Failure | None = None


class Nothing(Struct, frozen=True):
    """No parameters."""


class TailLog(Struct, frozen=True, kw_only=True):
    """Read a log, by its name below the logs folder, from an offset."""

    name: str
    offset: int = 0
    max_bytes: int = 65536


class LogChunk(Struct, frozen=True, kw_only=True):
    """Part of a log. ``ended``: its writer is gone and nothing follows."""

    data: bytes
    next_offset: int
    ended: bool


class Hello(Struct, frozen=True, kw_only=True):
    """Who answers. ``epoch``: the highest fencing token it has seen."""

    version: str
    pid: int
    epoch: int
    capabilities: Capabilities


class ReplicaStatus(Struct, frozen=True, kw_only=True):
    """A replica now. ``state``: starting, ready, waiting (to start again) or stopped."""

    environment: str
    service: str
    version: str
    index: int
    state: str
    port: int
    pid: int | None
    restarts: int
    log: str
    message: str = ""
    metrics: MetricsEndpoint | None = None


class JobStatus(Struct, frozen=True, kw_only=True):
    """A running job."""

    key: str
    run: str
    name: str
    pid: int | None
    started_at: float
    log: str


class AgentStatus(Struct, frozen=True, kw_only=True):
    """Everything the agent owns. ``epoch``: the highest fencing token it has seen."""

    version: str
    pid: int
    started_at: float
    epoch: int
    rss_bytes: int
    capabilities: Capabilities
    replicas: tuple[ReplicaStatus, ...]
    jobs: tuple[JobStatus, ...]
    gateway: dict[str, Any]


class Method(Struct, frozen=True):
    """A method's parameters. A read changes nothing and is never fenced; some take secrets too."""

    params: type[Struct]
    read: bool = False
    secrets: bool = False


METHODS: dict[str, Method] = {
    "run_job": Method(actions.RunJob, secrets=True),
    "cancel_job": Method(actions.CancelJob),
    "deploy_replicas": Method(actions.DeployReplicas, secrets=True),
    "observe_replicas": Method(actions.ObserveReplicas, read=True),
    "retire_replicas": Method(actions.RetireReplicas),
    "add_backend": Method(actions.AddBackend),
    "set_weights": Method(actions.SetWeights),
    "remove_backend": Method(actions.RemoveBackend),
    "observe_traffic": Method(actions.ObserveTraffic, read=True),
    "recent_requests": Method(RecentRequests, read=True),
    "hello": Method(Nothing, read=True),
    "status": Method(Nothing, read=True),
    "tail_log": Method(TailLog, read=True),
    "shutdown": Method(Nothing),
}
