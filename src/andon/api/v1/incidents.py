"""Incidents: a stop of the line that people should know of."""

from typing import Literal

from andon.api.v1.words import Record


class IncidentSpec(Record, kw_only=True, frozen=True):
    """A stop of the line that people should know of."""

    title: str
    service: str
    environment: str
    change: str
    run: str
    digest: str
    config_hash: str
    detected_at: float
    severity: Literal["SEV1", "SEV2", "SEV3"] = "SEV2"
    evidence: tuple[str, ...] = ()


class IncidentStatus(Record, kw_only=True, frozen=True):
    """Where an incident stands."""

    phase: Literal["Open", "Mitigated", "Resolved"] = "Open"
    mitigated_at: float = 0
    resolved_at: float = 0
    timeline: tuple[tuple[float, str], ...] = ()
