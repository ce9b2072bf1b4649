"""What an environment makes of a service: bases merged, overlays applied, the result named.

A field is *silent* when it has its default value: a parsed document no longer tells a default that
was written from one that was not. So a derived Environment cannot return to a default that its
base has changed; it says so with another value, or does without the base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from andon.api.problems import did_you_mean
from andon.api.v1.definitions import EnvironmentSpec, Overlay, Resources, RolloutPolicy, ServiceSpec
from andon.api.v1.jobs import SecretRef
from andon.api.v1.words import Spec
from andon.kernel.digest import config_hash
from andon.kernel.errors import InvalidDocument

S = TypeVar("S", bound=Spec)


class Resolved(Struct, frozen=True, kw_only=True):
    """What a service is in one environment."""

    config: dict[str, str]
    replicas: int
    resources: Resources


def merge_bases(environments: Mapping[str, EnvironmentSpec]) -> dict[str, EnvironmentSpec]:
    """Fill each environment's silent fields from its base, and the base's base.

    Mappings (``config``, ``services``) merge by key, everything else is taken whole. The rollout is
    always set in the result.

    Raises:
        InvalidDocument: A base is unknown, or bases form a circle.
    """
    return {name: _with_rollout(_merged(name, environments, ())) for name in environments}


def configuration(
    service: ServiceSpec, name: str, environment_overlay: EnvironmentSpec | None
) -> Resolved:
    """Return what a service runs with in an environment.

    Later ones win: the service's base configuration, the environment's, the environment's overlay
    for this service.

    Args:
        service: The service.
        name: Its name, by which the environment's ``services`` refer to it.
        environment_overlay: The environment with its bases merged; None for the service alone.
    """
    environment = environment_overlay or EnvironmentSpec()
    overlay = environment.services.get(name, Overlay())
    return Resolved(
        config={
            name: value
            for name, value in (service.config | environment.config | overlay.config).items()
            if name not in service.secrets
        },
        replicas=service.replicas if overlay.replicas is None else overlay.replicas,
        resources=_filled(overlay.resources or Resources(), service.resources),
    )


def configuration_hash(
    service: ServiceSpec, resolved: Resolved, secrets: Mapping[str, SecretRef] | None = None
) -> str:
    """Return the identity of everything besides the artifact that shapes what runs.

    Args:
        service: The service.
        resolved: What it is in the environment.
        secrets: Those it sees, by variable; their versions count, never their values.
    """
    shaping: dict[str, Any] = {
        "command": service.command,
        "config": resolved.config,
        "drain_seconds": service.drain_seconds,
        "health": service.health,
        "needs": sorted(service.needs),
        "replicas": resolved.replicas,
        "resources": resolved.resources,
    }
    if secrets:
        shaping["secrets"] = secrets
    hashed: dict[str, Any] = _whole_numbers(msgspec.to_builtins(shaping))
    return config_hash(hashed)


def _merged(
    name: str, environments: Mapping[str, EnvironmentSpec], derived: tuple[str, ...]
) -> EnvironmentSpec:
    if name in derived:
        circle = " → ".join((*derived[derived.index(name) :], name))
        raise InvalidDocument(f"environment bases form a circle: {circle}")
    if name not in environments:
        message = f"Environment `{derived[-1]}` has the base `{name}`, which does not exist"
        raise InvalidDocument(message, hint=did_you_mean(name, environments))
    environment = environments[name]
    if environment.base is None:
        return environment
    return _filled(environment, _merged(environment.base, environments, (*derived, name)))


def _filled(derived: S, base: S) -> S:
    """Take each field that the derived document leaves at its default from the base."""
    taken: dict[str, Any] = {}
    for field in msgspec.structs.fields(derived):
        own, inherited = getattr(derived, field.name), getattr(base, field.name)
        if isinstance(own, dict):
            taken[field.name] = _joined(own, inherited)
        elif own == field.default:
            taken[field.name] = inherited
    return msgspec.structs.replace(derived, **taken)


def _joined(own: dict[str, Any], inherited: dict[str, Any]) -> dict[str, Any]:
    joined = inherited | own
    for key in own.keys() & inherited.keys():
        if isinstance(own[key], Overlay):
            joined[key] = _filled(own[key], inherited[key])
    return joined


def _with_rollout(environment: EnvironmentSpec) -> EnvironmentSpec:
    if environment.rollout is UNSET:
        return msgspec.structs.replace(environment, rollout=RolloutPolicy())
    return environment


def _whole_numbers(value: Any) -> Any:
    """Write 10.0 as 10: whether the author typed a point does not change what runs."""
    if isinstance(value, dict):
        return {key: _whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
