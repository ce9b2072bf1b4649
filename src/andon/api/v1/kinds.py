"""Kinds kept in the store."""

from __future__ import annotations

from msgspec import Struct

from andon.api.v1.access import (
    RequestSpec,
    SecretSpec,
    SessionSpec,
    TeamSpec,
    TokenSpec,
    TokenStatus,
    UserSpec,
    UserStatus,
)
from andon.api.v1.alerts import AlertSpec, AlertStatus, SilenceSpec, SilenceStatus
from andon.api.v1.approvals import ApprovalSpec, ApprovalStatus
from andon.api.v1.budgets import BudgetSpec, BudgetStanding, OverrideSpec
from andon.api.v1.definitions import DEFINITIONS, RULE_KINDS, EnvironmentSpec
from andon.api.v1.forges import DeliverySpec, HookSpec
from andon.api.v1.incidents import IncidentSpec, IncidentStatus
from andon.api.v1.objectives import RuleStatus
from andon.api.v1.records import (
    ArtifactSpec,
    CancellationSpec,
    ChangeSpec,
    ChangeStatus,
    Empty,
    EnvironmentRecordStatus,
    EvidenceSpec,
    HoldSpec,
    HoldStatus,
    JobResultSpec,
    RunSpec,
    RunStatus,
)
from andon.api.v1.schedules import ScheduleSpec, ScheduleStatus
from andon.api.v1.workers import RemoteJobSpec, RemoteJobStatus, WorkerSpec, WorkerStatus

RECORDS: dict[str, tuple[type[Struct], type[Struct]]] = {
    "Change": (ChangeSpec, ChangeStatus),
    "Run": (RunSpec, RunStatus),
    "Cancellation": (CancellationSpec, Empty),
    "Schedule": (ScheduleSpec, ScheduleStatus),
    "JobResult": (JobResultSpec, Empty),
    "Artifact": (ArtifactSpec, Empty),
    "Evidence": (EvidenceSpec, Empty),
    "Hold": (HoldSpec, HoldStatus),
    "Incident": (IncidentSpec, IncidentStatus),
    "Approval": (ApprovalSpec, ApprovalStatus),
    "User": (UserSpec, UserStatus),
    "Team": (TeamSpec, Empty),
    "Token": (TokenSpec, TokenStatus),
    "Session": (SessionSpec, Empty),
    "Request": (RequestSpec, Empty),
    "Secret": (SecretSpec, Empty),
    "Hook": (HookSpec, Empty),
    "Delivery": (DeliverySpec, Empty),
    "Worker": (WorkerSpec, WorkerStatus),
    "RemoteJob": (RemoteJobSpec, RemoteJobStatus),
    "Alert": (AlertSpec, AlertStatus),
    "Silence": (SilenceSpec, SilenceStatus),
    "Budget": (BudgetSpec, BudgetStanding),
    "Override": (OverrideSpec, Empty),
    "Environment": (EnvironmentSpec, EnvironmentRecordStatus),
    **{kind: (DEFINITIONS[kind], RuleStatus) for kind in sorted(RULE_KINDS)},
}
"""Each kind's spec and status."""

INNER = frozenset(
    {"User", "Team", "Token", "Session", "Request", "Secret", "Hook", "Delivery", "RemoteJob"}
)
"""Kinds that are nobody's business but Andon's own: no answer shows such an object as it is."""
