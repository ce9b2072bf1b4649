"""What came of a play: the figures that ``andon demo`` tells at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andon.kernel.errors import StepFailed

Json = dict[str, Any]


def figures(changes: Sequence[Json], load: Json, *, fault_percent: float, service: str) -> Json:
    """Return what became of the four versions, and what users met.

    Args:
        changes: The four, as they ended.
        load: The load generator's last report.
        fault_percent: Share of requests that the third was to fail.
        service: Whose third version it is.
    """
    first, second, third, fourth = changes
    bad = rollout(third, service)
    since, until = exposure(bad)
    met = [one for one in load["failures"] if one["at"] <= until and since <= one["ended_at"]]
    verdict_at, zero_at = bad["verdictAt"], bad["zeroWeightAt"]
    rolled_back = third["phase"] == "RolledBack"
    return {
        "requests": load["completed"] + load["failed"],
        "failed_requests": load["failed"],
        "bad_canary_failed_requests": len(met) if fault_percent else 0,
        "seconds_to_verdict": round(max(0.0, verdict_at - since), 3) if verdict_at else None,
        "seconds_verdict_to_zero_weight": round(zero_at - verdict_at, 3) if zero_at else None,
        "good_promoted": all(one["phase"] == "Succeeded" for one in (first, second, fourth)),
        "bad_rolled_back": rolled_back,
        "third_promoted": third["phase"] == "Succeeded",
        "as_expected": rolled_back is (fault_percent > 0),
        "fault_service": service,
        "fault_percent": fault_percent,
        "verdict": bad["message"],
        "changes": [_summary(change) for change in changes],
        "latency_p50_ms": load.get("p50_ms"),
        "latency_p99_ms": load.get("p99_ms"),
    }


def budget(board: Json, service: str, since: float) -> Json | None:
    """Return how the availability of a service in prod stands; None: not told since then.

    Args:
        board: What ``GET /objectives`` answers.
        service: Whose.
        since: Seconds since the Unix epoch.
    """
    for one in board["objectives"]:
        own = one["service"] == service and one["environment"] == "prod"
        if own and "availability" in one["name"] and one["heardAt"] >= since:
            return {
                "objective": one["objective"],
                "target": one["target"],
                "window": one["window"],
                "failed": one["bad"],
                "requests": one["total"],
                "burnt_ratio": None if one["remaining"] is None else 1 - one["remaining"],
            }
    return None


def rollout(change: Json, service: str) -> Json:
    """Return the Run in prod of the service at fault."""
    for run in change["runs"]:
        if run["environment"] == "prod" and run["service"] == service:
            found: Json = run
            return found
    raise StepFailed(f"{change['name']} never reached prod: {change['statusMessage']}")


def exposure(run: Json) -> tuple[float, float]:
    """Return since when and until when users could meet a version."""
    canary = [step for step in run["steps"] if step["name"].startswith("canary-")]
    since = canary[0]["startedAt"] if canary else 0.0
    return since, (run["zeroWeightAt"] or run["finishedAt"]) + 1.0


def _summary(change: Json) -> Json:
    return {
        "name": change["name"],
        "sha": change["sha"],
        "message": change["message"],
        "phase": change["phase"],
        "runs": [
            {key: run[key] for key in ("name", "phase", "message", "environment", "service")}
            for run in change["runs"]
        ],
    }
