"""Gates: what is missing, what holds, and nothing else.

A gate is closed by missing Evidence or by a matching Hold. Evidence about an artifact counts for its
digest until the policy's maximum age. Consent is counted by person (``approvals``).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from msgspec import Struct

from andon.api.v1.approvals import ApprovalSpec
from andon.api.v1.definitions import Approvals
from andon.api.v1.records import EvidenceSpec, HoldSpec, HoldStatus, Object, Subject
from andon.domains.line import promises
from andon.domains.line.approvals import CHECK, consents, tell
from andon.domains.line.promises import most_age_seconds

ONE = Approvals()
"""Where consent is asked for without saying of whom: anybody who may approve, once."""
LATCH = "latch"
"""Source of the Hold that a version's own failure leaves behind."""
DEPLOY, RAISE_WEIGHT = "deploy", "raise-weight"


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
        asked = all(effect_of(hold.spec, DEPLOY) == "approval" for hold in self.holds)
        lacks = {lack.check for lack in self.missing}
        return asked and lacks <= {CHECK} and bool(self.holds or lacks)

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


class Passage(Struct, frozen=True, kw_only=True):
    """What wants to pass the Holds that stop some deeds only.

    Args:
        subject: Who.
        deed: What it wants to do.
        claims: Approvals, among other claims.
        rule: Whose consent counts.
        last_at: When the same was last done there; 0: never.
        since: Older consent does not count.
    """

    subject: Subject
    deed: str = DEPLOY
    claims: tuple[Object, ...] = ()
    rule: Approvals = ONE
    last_at: float = 0
    since: float = 0


def effect_of(spec: HoldSpec, deed: str) -> str:
    """Return what becomes of a deed under a Hold: a plain one denies all.

    >>> spec = HoldSpec(scope=Subject(), reason="", source="budget:shop", effects={"deploy": "slow"})
    >>> effect_of(spec, "deploy"), effect_of(spec, "raise-weight")
    ('slow', 'allow')
    """
    return spec.effects.get(deed, "allow") if spec.effects else "deny"


def stopping_holds(passage: Passage, holds: Iterable[Object], now: float) -> tuple[Object, ...]:
    """Return the active Holds that stop somebody from doing something.

    Args:
        passage: Who wants to do what.
        holds: Holds that may match.
        now: Seconds since the Unix epoch.
    """
    return tuple(
        hold
        for hold in matching_holds(passage.subject, holds, now)
        if not _lets_pass(hold.spec, passage, now)
    )


def _lets_pass(spec: HoldSpec, passage: Passage, now: float) -> bool:
    match effect_of(spec, passage.deed):
        case "allow":
            return True
        case "slow" if now >= passage.last_at + spec.pace_seconds:
            return True
        case "approval" if _consented(spec, passage):
            return True
    return bool(spec.passes) and _consented(spec, passage, spec.passes)


def _consented(spec: HoldSpec, passage: Passage, fixes: Container[str] | None = None) -> bool:
    """Say whether enough people consent to the Change, knowing of the Hold; as a fix, if it must be one."""
    claims = [
        one
        for one in passage.claims
        if isinstance(one.spec, ApprovalSpec) and (fixes is None or one.spec.fix in fixes)
    ]
    since = passage.since if fixes is not None else max(passage.since, spec.created_at)
    return len(consents(passage.subject, claims, passage.rule, since=since)) >= passage.rule.count


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
    last_at: float = 0,
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
        last_at: When a version was last brought there; 0: never.
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
            else _lack(
                check,
                latest.get(check),
                now,
                most_age_seconds(check, max_age_seconds),
                skippable,
            )
        )
        is not None
    )
    passage = Passage(
        subject=subject,
        claims=claims,
        rule=rule or ONE,
        last_at=last_at,
        since=now - max_age_seconds,
    )
    return Gate(missing=missing, holds=stopping_holds(passage, holds, now))


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
    if check == promises.CHECK:
        return "a budget that is not spent, and telemetry that is heard: `andon slo list`"
    if check.startswith("deployed/"):
        return f"a successful rollout in {check.removeprefix('deployed/')}"
    return f"a passing `{check}` job on this artifact"
