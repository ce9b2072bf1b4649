"""Evidence as new objects, labelled so that gates find it."""

from __future__ import annotations

from typing import Any

from andon.api.v1.control import NewObject
from andon.api.v1.records import Empty, EvidenceSpec, Subject, Verdict


def claim(
    *,
    name: str,
    subject: Subject,
    check: str,
    verdict: Verdict,
    source: str,
    now: float,
    message: str = "",
    value: dict[str, Any] | None = None,
    coverage: float | None = None,
) -> NewObject:
    """Make a claim about a subject.

    Args:
        name: The object's name; the same name is the same claim.
        subject: What it is about.
        check: What was looked at.
        verdict: What was found.
        source: Who says so.
        now: When it was observed, seconds since the Unix epoch.
        message: Why, if it is not a Pass.
        value: Figures.
        coverage: Share of what should have been looked at that was, 0 to 1.
    """
    spec = EvidenceSpec(
        subject=subject,
        check=check,
        verdict=verdict,
        source=source,
        observed_at=now,
        message=message,
        value=value or {},
        coverage=coverage,
    )
    return NewObject(
        kind="Evidence", name=name, spec=spec, status=Empty(), labels=subject_labels(subject, check)
    )


def subject_labels(subject: Subject, check: str = "") -> dict[str, str]:
    """Return the labels that Evidence and Approvals are found by."""
    labels = {
        "check": check,
        "service": subject.service,
        "environment": subject.environment,
        "digest": subject.digest,
        "change": subject.change,
    }
    return {key: value for key, value in labels.items() if value}
