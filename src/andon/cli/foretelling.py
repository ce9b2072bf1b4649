"""Says, in a line each, what the judge will be able to see of rollouts that are coming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andon.cli.output import faint
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.errors import AndonError

SMALL, ASKED = 1.2, 3.0
MOST_LINES = 4

Json = dict[str, Any]


def coming(session: Session, change: str) -> list[Json]:
    """Ask for the forecasts of a Change; whoever ships is not stopped by there being none."""
    try:
        told: Json = session.client.get(f"/changes/{part(change)}/forecast")
    except AndonError:
        return []
    rows: list[Json] = told["rollouts"]
    return rows


def tell_coming(rows: Sequence[Json]) -> list[str]:
    """Write a line for each rollout, and what would help the first that needs it."""
    lines = [faint(f"  {tell(row)}") for row in rows[:MOST_LINES]]
    if len(rows) > MOST_LINES:
        lines.append(faint(f"  and {len(rows) - MOST_LINES} more: `andon judge forecast SERVICE`"))
    advice = [one for row in rows if row["forecast"] for one in row["forecast"]["advice"]]
    return [*lines, *(faint(f"  advice: {one}") for one in advice[:1])]


def tell(row: Json) -> str:
    """Write what is seen of one rollout, at its traffic."""
    where = f"{row['service']} in {row['environment']}"
    told = row["forecast"]
    if told is None:
        return f"{where}: what the judge will see is unknown: {row['unknown']}"
    seen = {one["risk"]: one for one in told["seen"]}
    asked = [one for one in (seen.get(ASKED), seen.get(SMALL)) if one is not None]
    if not any(one["afterSeconds"] for one in asked):
        sooner = [one for one in told["seen"] if one["afterSeconds"] is not None]
        asked = [*sooner[:1], *asked[:1]]
    said = ", ".join(sight(one) for one in asked)
    return f"{where}, at {told['requestsPerSecond']:.3g} requests per second: {said}"


def sight(one: Json) -> str:
    """Say when one rise of errors is seen.

    >>> sight({"risk": 3.0, "afterSeconds": 480.0})
    'a tripling of errors is seen in about 8 minutes'
    >>> sight({"risk": 1.2, "afterSeconds": None})
    'a 20 % rise of errors cannot be seen in this plan'
    """
    if one["afterSeconds"] is None:
        return f"{rise(one['risk'])} cannot be seen in this plan"
    return f"{rise(one['risk'])} is seen in about {about(one['afterSeconds'])}"


def rise(risk: float) -> str:
    """Name a rise of errors.

    >>> rise(1.2), rise(2.0), rise(10.0)
    ('a 20 % rise of errors', 'a doubling of errors', '10 times the errors')
    """
    named = {2.0: "a doubling of errors", 3.0: "a tripling of errors"}
    if risk < 2:
        return f"a {100 * (risk - 1):.0f} % rise of errors"
    return named.get(risk, f"{risk:g} times the errors")


def about(seconds: float) -> str:
    """Write a time as one speaks of it.

    >>> about(45.0), about(480.0)
    ('45 seconds', '8 minutes')
    """
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
