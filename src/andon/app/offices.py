"""Everybody who answers to the outside, and who is told outside."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from andon.adapters.blobs.files import FileBlobs
from andon.app.access.door import Door
from andon.app.builds.desk import Builds
from andon.app.control_plane import ControlPlane
from andon.app.events.sinks import guard_of
from andon.app.hooks.desk import Hooks
from andon.app.hooks.parts import Outward, address_of, hooks
from andon.app.judging import Judging
from andon.app.parts import Parts
from andon.app.provider import provider_of
from andon.app.secrets.keeper import Secrets
from andon.app.secrets.safe import Vault
from andon.app.settings import Settings
from andon.app.suites.telling import Suites
from andon.app.telemetry.alerts import Alerts
from andon.app.telemetry.objective_desk import ObjectiveDesk
from andon.app.telemetry.room import Telemetry
from andon.app.telemetry.traces import Traces
from andon.app.upkeep.admin import Admin
from andon.ports.offices import Offices
from andon.ports.store import Store
from andon.runtime.system import SystemRandomness


class Outside(Struct, frozen=True, kw_only=True):
    """Everybody who answers, and the door itself, which has work of its own."""

    offices: Offices
    door: Door


def open_offices(
    settings: Settings,
    state: Path,
    store: Store,
    parts: Parts,
    plane: ControlPlane,
    admin: Admin,
    telemetry: Telemetry,
) -> Outside:
    """Return everybody who answers; nothing is opened yet."""
    door = door_of(settings, state, store, parts)
    offices = Offices(
        line=plane,
        access=door,
        admin=admin,
        secrets=Secrets(store, parts.turns, parts.safe, parts.clock),
        hooks=hooks_of(settings, store, parts, door),
        suites=Suites(store, FileBlobs(state / "blobs").get, parts.clock),
        workers=parts.desk,
        checks=telemetry.checks,
        objectives=ObjectiveDesk(
            telemetry.objectives,
            telemetry.objectives.tallies,
            parts.clock,
            [one.name for one in telemetry.spec.alerts.receivers],
        ),
        metrics=telemetry.asked.service,
        logs=telemetry.logs,
        traces=Traces(telemetry.traces, store, parts.clock),
        intake=telemetry.intake,
        alerts=Alerts(
            store, parts.turns, parts.clock, telemetry.watch, telemetry.spec.alerts, door
        ),
        budgets=telemetry.budgets,
        beacon=telemetry.beacon,
        builds=Builds(store, parts.agent.tail_log, parts.clock),
        judging=Judging(store, telemetry.metrics, parts.clock),
        provider=provider_of(settings.installation),
        url=settings.installation.url or "",
        public_badges=settings.installation.badges == "public",
    )
    return Outside(offices=offices, door=door)


def door_of(settings: Settings, state: Path, store: Store, parts: Parts) -> Door:
    """Return who lets people in."""
    oidc = settings.installation.oidc
    return Door(
        state,
        store,
        parts.clock,
        SystemRandomness(),
        vault=Vault(parts.safe),
        logins=("token", "password", *(("oidc",) if oidc else ())),
        teams_by_group=oidc.teams if oidc else {},
    )


def hooks_of(settings: Settings, store: Store, parts: Parts, door: Door) -> Hooks:
    """Return who listens to forges."""
    return hooks(
        store=store,
        turns=parts.turns,
        source=parts.source,
        clock=parts.clock,
        randomness=SystemRandomness(),
        vault=Vault(parts.safe),
        refusals=door,
        policy_branch=settings.policy_branch,
        notify=settings.notify,
        url=address_of(settings.installation),
    )


def outward_of(settings: Settings, store: Store, parts: Parts) -> Outward:
    """Return what telling forges and people needs."""
    return Outward(
        store=store,
        clock=parts.clock,
        vault=Vault(parts.safe),
        guard=guard_of(settings.allow_internal, settings.installation),
        url=address_of(settings.installation),
        mail=settings.installation.mail,
        alerts=settings.installation.telemetry.alerts,
    )
