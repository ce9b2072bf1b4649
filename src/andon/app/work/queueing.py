"""Where actions wait, what goes first, and how much goes on at once."""

from __future__ import annotations

from collections.abc import Mapping

from andon.api.v1 import actions
from andon.api.v1.actions import AnyAction
from andon.ports.store import Limit, Place

TURNS_AHEAD_SECONDS: Mapping[str, float] = {
    "Incident": 60.0,
    "Run:rollback": 60.0,
    "Run:rollout": 30.0,
}
"""What protects users goes before what builds, until the build has waited longer than this."""

ACTIONS_AHEAD_SECONDS: Mapping[type[actions.Action], float] = {
    actions.SetWeights: 60.0,
    actions.WriteDesired: 30.0,
    actions.CancelJob: 30.0,
}

ELSEWHERE = "RunJob/elsewhere"
"""Jobs for workers on other machines, which take no room from those here while they wait."""

NOTICES_PER_SECOND = 10.0
NOTICES_AT_ONCE = 50


def place_of(action: AnyAction) -> Place:
    """Say where an action waits: in the queue of its type, jobs of one group one after another."""
    queue, group = type(action).__name__, ""
    if isinstance(action, actions.RunJob):
        group = action.job.concurrency
        queue = ELSEWHERE if action.job.runs_on else queue
    return Place(
        queue=queue,
        group=f"job/{group}" if group else "",
        ahead_seconds=ACTIONS_AHEAD_SECONDS.get(type(action), 0.0),
    )


def limits(jobs_at_once: int) -> Mapping[str, Limit]:
    """Return how much of each queue goes on over all workers.

    Args:
        jobs_at_once: Jobs of builds and rollouts; 0: any number.
    """
    return {
        "RunJob": Limit(at_once=jobs_at_once),
        ELSEWHERE: Limit(),
        "Notify": Limit(per_second=NOTICES_PER_SECOND, burst=NOTICES_AT_ONCE),
    }
