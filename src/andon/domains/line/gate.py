"""Gates: what is missing, what holds, and nothing else.

A gate is closed by missing Evidence or by a matching Hold. Evidence about an artifact counts for its
digest until the policy's maximum age. Consent is counted by person (``approvals``).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from msgspec import Struct

from andon.api.v1.definitions import Approvals
from andon.api.v1.records import ApprovalSpec, EvidenceSpec, HoldSpec, HoldStatus, Object, Subject
from andon.domains.line.approvals import CHECK, consents, tell

ONE = Approvals()
"""Where consent is asked for without saying of whom: anybody who may approve, once."""
LATCH = "latch"
"""Source of the Hold that a version's own failure leaves behind."""


class Missing(Struct, frozen=True, kw_only=True):
    """Evidence a gate still waits for."""

    check: str
    reason: str
    opens: str
    """What would open the gate."""


class Gate(Struct, frozen=True, kw_only=True):
    """A gate's state."""

    missing: tuple[Missing, ...] = ()
    holds: tuple[Object, ...] = ()

    @property
    def open(self) -> bool:
        """True when nothing is missing and nothing holds."""
        return not self.missing and not self.holds

    @property
    def waits_for_people(self) -> bool:
        """True when nothing but consent would open it."""
        return not self.holds and {lack.check for lack in self.missing} == {CHECK}

    def explain(self) -> str:
        """Say in one line what closes it."""
        held = [f"held by {hold.spec.source}: {hold.spec.reason}" for hold in self.holds]
        return "; ".join([*held, *(missing.reason for missing in self.missing)])


def is_active(hold: Object, now: float) -> bool:
    """Say whether a Hold is neither lifted nor expired.

    Args:
        hold: An object of kind Hold.
        now: Seconds since the Unix epoch.
    """
    spec: HoldSpec = hold.spec
    status: HoldStatus = hold.status
    return not status.lifted_at and not 0 < spec.expires_at <= now


def matching_holds(subject: Subject, holds: Iterable[Object], now: float) -> tuple[Object, ...]:
    """Return the active Holds whose scope covers a subject."""
    return tuple(
        hold for hold in holds if is_active(hold, now) and hold.spec.scope.matches(subject)
    )


def is_latched(subject: Subject, holds: Iterable[Object], now: float) -> bool:
    """Say whether (digest, configuration, environment) failed here by its own fault before."""
    return any(hold.spec.source == LATCH for hold in matching_holds(subject, holds, now))


def judge_gate(
    subject: Subject,
    requires: Iterable[str],
    evidence: Iterable[Object],
    holds: Iterable[Object],
    now: float,
    max_age_seconds: float,
    rule: Approvals | None = None,
    skippable: Container[str] = (),
) -> Gate:
    """Decide whether a version may enter an environment.

    Args:
        subject: Service, environment, digest, configuration and change that ask.
        requires: Checks that need passing Evidence.
        evidence: Evidence and Approvals about the subject, oldest first; the newest of a check counts.
        holds: Holds that may match.
        now: Seconds since the Unix epoch.
        max_age_seconds: Evidence older than this is as good as missing.
        rule: How many people must consent, and who counts, where ``approval`` is required; None:
            anybody once.
        skippable: Required checks that a rule may have skipped.
    """
    claims = tuple(evidence)
    latest = _latest(subject, claims)
    given = consents(subject, claims, rule or ONE, since=now - max_age_seconds)
    missing = tuple(
        lack
        for check in requires
        if (
            lack := _lack_of_consent(rule or ONE, given)
            if check == CHECK
            else _lack(check, latest.get(check), now, max_age_seconds, skippable)
        )
        is not None
    )
    return Gate(missing=missing, holds=matching_holds(subject, holds, now))


def _latest(subject: Subject, evidence: Iterable[Object]) -> dict[str, EvidenceSpec]:
    latest: dict[str, EvidenceSpec] = {}
    for item in evidence:
        claim = item.spec
        if isinstance(claim, EvidenceSpec) and claim.subject.matches(subject):
            known = latest.get(claim.check)
            if known is None or _weight(claim) >= _weight(known):
                latest[claim.check] = claim
    return latest


def was_skipped(claim: EvidenceSpec) -> bool:
    """Say whether nothing was looked at, because of a rule."""
    return claim.verdict == "Inconclusive" and bool(claim.value.get("skipped"))


def _weight(claim: EvidenceSpec) -> tuple[bool, float]:
    """The newest counts; but that nothing was looked at says nothing about what was found."""
    return not was_skipped(claim), claim.observed_at


def _lack_of_consent(rule: Approvals, given: Sequence[ApprovalSpec]) -> Missing | None:
    """Only people consent: no Evidence that calls itself an approval is one."""
    if len(given) >= rule.count:
        return None
    opens = "a person: `andon approve CHANGE --environment ENV -m REASON`"
    return Missing(check=CHECK, reason=tell(rule, given), opens=opens)


def _lack(
    check: str,
    found: EvidenceSpec | None,
    now: float,
    max_age_seconds: float,
    skippable: Container[str],
) -> Missing | None:
    opens = _opens(check)
    if found is None:
        return Missing(check=check, reason=f"no Evidence of {check} yet", opens=opens)
    skipped = was_skipped(found)
    if found.verdict != "Pass" and not (skipped and check in skippable):
        said = f": {found.message}" if found.message else ""
        if skipped:
            return Missing(
                check=check, reason=f"{check} was skipped{said}", opens=_unskipped(check)
            )
        return Missing(check=check, reason=f"{check} says {found.verdict}{said}", opens=opens)
    if now - found.observed_at > max_age_seconds:
        return Missing(check=check, reason=f"Evidence of {check} is too old", opens=opens)
    return None


def _unskipped(check: str) -> str:
    return f"{_opens(check)}, or `skippable: [{check}]` of the Environment, on the policy branch"


def _opens(check: str) -> str:
    if check.startswith("deployed/"):
        return f"a successful rollout in {check.removeprefix('deployed/')}"
    return f"a passing `{check}` job on this artifact"
