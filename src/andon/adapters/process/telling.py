"""How a process learns where to tell what it sees: OpenTelemetry's own environment variables.

Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "Environment Variable Specification".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import quote

from msgspec import Struct

from andon.api.v1.actions import DeployReplicas, RunJob

ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
_ENDPOINT = re.compile(r"OTEL_EXPORTER_OTLP_(?:[A-Z]+_)?ENDPOINT")


class Address(Struct, frozen=True, kw_only=True):
    """A loopback port that takes telemetry, and the token that it asks for."""

    port: int
    token: str


AddressNow = Callable[[], Address | None]
"""Where processes that start now shall tell; None: nowhere."""


def nowhere() -> None:
    """Have nobody told."""


def of_replica(spec: DeployReplicas, index: int, where: Address | None) -> dict[str, str]:
    """Return the variables of a replica; what its ``config`` or ``secrets`` set stays as it is."""
    if where is None:
        return {}
    version = spec.version.key
    attributes = {
        "service.version": version,
        "service.instance.id": f"{spec.environment}.{spec.service}.{version}.{index}",
        "deployment.environment.name": spec.environment,
        "andon.change": spec.version.change,
    }
    return _variables(where, spec.service, attributes, spec.config, spec.secrets)


def of_job(action: RunJob, where: Address | None) -> dict[str, str]:
    """Return the variables of a job.

    A stranger's job is told nothing: what it sent would stand beside what services say of themselves.
    """
    if where is None or not action.trusted:
        return {}
    name = action.repository.rstrip("/").rpartition("/")[2].removesuffix(".git")
    attributes = {
        "service.version": action.sha[:12],
        "deployment.environment.name": action.environment,
        "andon.run": action.run,
        "andon.job": action.job.name,
    }
    own = {**action.env, **action.job.env}
    others = {name for step in action.job.steps for name in step.env} | set(action.job.secrets)
    return _variables(where, name, attributes, own, others)


def _variables(
    where: Address,
    name: str,
    attributes: Mapping[str, str],
    own: Mapping[str, str],
    others: Collection[str],
) -> dict[str, str]:
    """Return what is said besides the process's ``own`` variables and ``others``, known by name only.

    Whoever names an endpoint of their own is told none, and no token that would go there.
    """
    taken = {*own, *others}
    told = {"OTEL_SERVICE_NAME": name, ATTRIBUTES: _attributes(attributes, own.get(ATTRIBUTES, ""))}
    if not any(_ENDPOINT.fullmatch(one) for one in taken):
        told |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{where.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{where.token}",
        }
    return {one: value for one, value in told.items() if one not in taken or one == ATTRIBUTES}


def _attributes(ours: Mapping[str, str], theirs: str) -> str:
    """Join attributes; theirs win.

    >>> _attributes({"service.version": "1", "andon.run": "a b"}, "service.version=9,team=x")
    'andon.run=a%20b,service.version=9,team=x'
    """
    given = {pair.partition("=")[0].strip() for pair in theirs.split(",")}
    pairs = [f"{key}={quote(value)}" for key, value in ours.items() if value and key not in given]
    return ",".join([*pairs, *([theirs] if theirs else [])])
