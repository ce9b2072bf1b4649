"""Evidence that promises are kept, for the gates that ask for it; renewed while it is true."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct

from andon.api.v1.control import Decision, Event
from andon.api.v1.records import EvidenceSpec, Subject, Verdict
from andon.domains.line import events
from andon.domains.line.evidence import claim
from andon.domains.line.promises import CHECK, FRESH_SECONDS
from andon.domains.reliability.objectives import Promise
from andon.ports.store import Tx
from andon.runtime.turns import Turns

RENEWED_SECONDS = FRESH_SECONDS / 4
SOURCE = "objectives"


class Claim(Struct, frozen=True, kw_only=True):
    """What is to be said about a service in an environment."""

    service: str
    environment: str
    verdict: Verdict
    message: str
    coverage: float

    @property
    def name(self) -> str:
        """Name of the Evidence."""
        return f"objective-{self.service}-{self.environment}"


def wanted_claims(
    promises: Iterable[Promise], required: Collection[tuple[str, str]], now: float
) -> tuple[Claim, ...]:
    """Return what gates are to be told.

    Args:
        promises: Every goal and how it stands.
        required: Services and environments whose gate asks.
        now: Seconds since the Unix epoch.
    """
    by_place: dict[tuple[str, str], list[Promise]] = {place: [] for place in required}
    for promise in promises:
        place = (promise.goal.service, promise.goal.environment)
        if place in by_place:
            by_place[place].append(promise)
    return tuple(_claim(*place, some) for place, some in sorted(by_place.items()))


def _claim(service: str, environment: str, promises: Iterable[Promise]) -> Claim:
    """Sum up: what somebody wrote counts; where nobody did, what holds for every Service."""
    all_of_it = list(promises)
    some = [one for one in all_of_it if not one.goal.default] or all_of_it
    missed = [one for one in some if _is_spent(one)]
    unknown = [one for one in some if one.standing.state == "unknown"]
    verdict: Verdict = "Fail" if missed else "Inconclusive" if unknown or not some else "Pass"
    worst = (missed or unknown or some)[:1]
    message = (
        "; ".join(f"{one.goal.objective} {one.goal.name}: {one.standing.message}" for one in worst)
        or "nothing is measured"
    )
    coverage = min((one.standing.coverage for one in some), default=0.0)
    return Claim(
        service=service,
        environment=environment,
        verdict=verdict,
        message=message,
        coverage=coverage,
    )


def _is_spent(promise: Promise) -> bool:
    left = promise.standing.remaining
    known = promise.standing.state != "unknown"
    return promise.standing.state == "missed" or (known and left is not None and left <= 0)


def commit_claims(tx: Tx, turns: Turns, claims: Iterable[Claim], now: float) -> None:
    """Write what changed, or grew old, in one transaction with its events."""
    for one in claims:
        _put(tx, turns, one, now)


def _put(tx: Tx, turns: Turns, told: Claim, now: float) -> None:
    known = tx.get("Evidence", told.name)
    before: EvidenceSpec | None = known.spec if known is not None else None
    same = before is not None and before.verdict == told.verdict
    if same and before is not None and now - before.observed_at < RENEWED_SECONDS:
        return
    subject = Subject(service=told.service, environment=told.environment)
    new = claim(
        name=told.name,
        subject=subject,
        check=CHECK,
        verdict=told.verdict,
        source=SOURCE,
        now=now,
        message=told.message,
        coverage=told.coverage,
    )
    if known is None:
        turns.create(tx, Decision(create=(new,)), now)
    else:
        written = tx.put_spec(known, new.spec)
        if not same:
            turns.announce(tx, written, now)
    if not same:
        turns.create(tx, Decision(events=(_event(told, now),)), now)


_PREDICATES = {"Pass": "kept", "Fail": "missed", "Inconclusive": "unknown"}


def _event(told: Claim, now: float) -> Event:
    predicate = _PREDICATES[told.verdict]
    return events.extension(
        "objective",
        predicate,
        id=f"objective/{told.environment}/{told.service}/{predicate}/{now:.6f}",
        stream=events.environment_stream(told.environment),
        about=told.service,
        content={
            "service": told.service,
            "environment": told.environment,
            "reason": told.message,
        },
    )
