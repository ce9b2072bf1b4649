"""What the gateway must remember: frontends, their ports, versions and who owns which slots."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.adapters.haproxy.slots import Span, share, weights_of
from andon.api.v1.actions import AddBackend
from andon.api.v1.definitions import Health, RouteSpec

UNROUTED = "nowhere"
"""Backend of requests for a service without any version."""


class Backend(Struct, frozen=True, kw_only=True, rename="camel"):
    """One version's replicas."""

    endpoints: tuple[str, ...]
    health: Health


class Front(Struct, frozen=True, kw_only=True, rename="camel"):
    """One service in one environment."""

    environment: str
    service: str
    port: int
    route: RouteSpec
    backends: dict[str, Backend] = {}
    """By version key, oldest first."""
    spans: tuple[Span, ...] = ()

    @property
    def name(self) -> str:
        """Name of the frontend and of its map."""
        return f"{self.environment}.{self.service}"

    def with_backend(self, action: AddBackend) -> Front:
        """Add a version, at weight 0 unless it is the only one."""
        backend = Backend(endpoints=action.endpoints, health=action.health)
        backends = {**self.backends, action.version.key: backend}
        front = replace(self, backends=backends, route=action.route)
        return front if front.spans else front.weighted({action.version.key: 100.0})

    def weighted(self, weights: dict[str, float]) -> Front:
        """Share the slots anew; a service with a single version gives it everything."""
        if len(self.backends) == 1:
            weights = dict.fromkeys(self.backends, 1.0)
        return replace(self, spans=share(self.spans, weights))

    def without(self, version: str) -> Front:
        """Share a version's slots between the others."""
        others = [key for key in self.backends if key != version]
        if not others:
            return replace(self, spans=())
        slots = weights_of(self.spans)
        kept = {key: float(slots[key]) for key in others if key in slots}
        return replace(self, spans=share(self.spans, kept or {others[-1]: 1.0}))

    def forgetting(self, version: str) -> Front:
        """Drop a version that has no slots any more."""
        backends = {key: value for key, value in self.backends.items() if key != version}
        return replace(self.without(version), backends=backends)


class Model(Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that is saved.

    Args:
        token: Secret that begins every genuine log line.
        log_port: UDP port on 127.0.0.1 where the agent takes log lines.
        generation: Count of configurations, which names the socket of the worker that runs it.
        fronts: By their names.
    """

    token: str
    log_port: int = 0
    generation: int = 0
    fronts: dict[str, Front] = {}

    def with_front(self, front: Front) -> Model:
        """Replace one frontend."""
        return replace(self, fronts={**self.fronts, front.name: front})


def load_model(path: Path) -> Model | None:
    """Read the saved model; None if there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Model)
    except FileNotFoundError:
        return None


def save_model(path: Path, model: Model) -> None:
    """Save the model durably."""
    write_durably(path, msgspec.json.encode(model))


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that a crash leaves the old or the new content, and an answer means new."""
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "wb", opener=_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
