"""Services whose rollouts of one Change stand or fall together.

A group is named in the Environment's rollout policy. While one of them has not been judged to the end, none
lets its old version go; once one turns back, all do. Only the one that failed is latched.
"""

from __future__ import annotations

from andon.api.v1.control import Selector
from andon.api.v1.records import TERMINAL, Object, RolloutPlan
from andon.domains.delivery.rollout import Rollout

REASON = "GroupStopped"
MOST = 50


def selector(run: Object) -> dict[str, Selector]:
    """See the others of a Run's group; nothing without one."""
    labels = _labels(run)
    return {"group": Selector(kind="Run", labels=labels, newest=MOST)} if labels else {}


def wakes(changed: Object, type: str) -> tuple[Selector, ...]:
    """Wake the others of a Run's group."""
    labels = _labels(changed)
    if not labels:
        return ()
    return (Selector(kind="Run", labels={**labels, "type": type}, newest=MOST),)


def why_stopped(rollout: Rollout) -> str:
    """Say which of the group turned back, and why; empty: none did."""
    for run in _mates(rollout):
        back = run.status.memory.get("back")
        if back and run.status.verdict_at >= rollout.view.object.created_at:
            service = run.spec.rollout.service
            return f"{service}, which rolls out together with this, turned back: {back['message']}"
    return ""


def is_ready(rollout: Rollout) -> bool:
    """Note that all is judged here; True once it is so with the whole group."""
    rollout.memory["judged_to_the_end"] = True
    waits = [
        run.spec.rollout.service
        for run in _mates(rollout)
        if run.status.started_at
        and run.status.phase not in TERMINAL
        and not run.status.memory.get("judged_to_the_end")
    ]
    if waits:
        message = f"waits for {', '.join(sorted(waits))}: they stand or fall together"
        rollout.set(phase="Waiting", reason="Together", message=message)
    elif rollout.status.reason == "Together":
        rollout.set(phase="Running", reason="", message="")
    return not waits


def _mates(rollout: Rollout) -> list[Object]:
    group = rollout.plan.rollout.group
    return [
        run
        for run in rollout.view.related.get("group", ())
        if run.name != rollout.run
        and run.spec.type == rollout.spec.type
        and run.spec.rollout.rollout.group == group
    ]


def _labels(run: Object) -> dict[str, str]:
    plan: RolloutPlan | None = run.spec.rollout
    if plan is None or not plan.rollout.group or run.spec.type != "rollout":
        return {}
    return {"change": run.spec.change, "environment": plan.environment}
