"""Everybody who answers: what an installation shows to the outside."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from andon.ports.access import AccessService
from andon.ports.admin import AdminService
from andon.ports.alerts import AlertService, BudgetService
from andon.ports.beacon import BeaconService
from andon.ports.builds import BuildService
from andon.ports.checks import CheckService
from andon.ports.hooks import HookService
from andon.ports.intake import IntakeService
from andon.ports.judging import JudgingService
from andon.ports.line import LineService
from andon.ports.logs import LogService
from andon.ports.metrics import MetricService
from andon.ports.objectives import ObjectiveService
from andon.ports.secrets import SecretService
from andon.ports.suites import SuitesService
from andon.ports.traces import TraceService
from andon.ports.workers import WorkerService


class Offices(Struct, frozen=True, kw_only=True):
    """Who answers; None: not here.

    Args:
        line: The line.
        access: The door.
        admin: Andon itself.
        secrets: The vault.
        hooks: Forges.
        suites: How tests do.
        workers: Workers on other machines.
        builds: Builds as people look at them.
        metrics: Samples of what is measured.
        checks: What is asked of running systems.
        logs: Log lines.
        traces: What requests went through.
        objectives: What was promised, and how it stands.
        alerts: What fires, and who is told.
        budgets: What services may still do by the error budget they have left.
        intake: What services tell of themselves.
        beacon: What browsers of real users tell.
        judging: The judge beside a rollout.
        provider: The OpenID provider that people log in at.
        url: How people reach the installation; empty: as they did.
        public_badges: Whether anybody may see how a build stands, without a login.
    """

    line: LineService
    access: AccessService
    admin: AdminService | None = None
    secrets: SecretService | None = None
    hooks: HookService | None = None
    suites: SuitesService | None = None
    workers: WorkerService | None = None
    builds: BuildService | None = None
    metrics: MetricService | None = None
    checks: CheckService | None = None
    logs: LogService | None = None
    traces: TraceService | None = None
    objectives: ObjectiveService | None = None
    alerts: AlertService | None = None
    budgets: BudgetService | None = None
    intake: IntakeService | None = None
    beacon: BeaconService | None = None
    judging: JudgingService | None = None
    provider: Any = None
    url: str = ""
    public_badges: bool = False
