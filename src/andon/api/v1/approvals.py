"""Approvals: a person's consent, for as long as they do not take it back."""

from andon.api.v1.records import Subject
from andon.api.v1.words import Record


class ApprovalSpec(Record, kw_only=True, frozen=True):
    """A person's consent: what a gate that asks for ``approval`` counts.

    Args:
        subject: Change and environment.
        by: Who, ``person:<name>``.
        reason: What they looked at.
        approved_at: Seconds since the Unix epoch.
        teams: Their teams when they gave it.
        job: The job of the Change's Pipeline that waits for it; empty: it is for the environment.
    """

    subject: Subject
    by: str
    reason: str
    approved_at: float
    teams: tuple[str, ...] = ()
    job: str = ""
    fix: str = ""
    """What they call the Change: ``security`` or ``incident``, a fix that budgets let pass."""


class ApprovalStatus(Record, kw_only=True, frozen=True):
    """Whether a person still consents."""

    withdrawn_at: float = 0
    withdraw_reason: str = ""
