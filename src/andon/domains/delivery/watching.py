"""Shifts weight to a new version and watches it until the judge lets the step advance.

Each second the counts of the gateway become one sample; samples are kept, so that every verdict can
be decided again from them. What cannot be judged (no traffic, counts that disagree) waits and says so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from andon.api.v1.actions import (
    ActionFailed,
    AnyOutcome,
    BackendAdded,
    Done,
    ObserveReplicas,
    ObserveTraffic,
    ReplicasObserved,
    ReplicasReady,
    SetWeights,
    TrafficObserved,
)
from andon.api.v1.control import NewObject
from andon.api.v1.records import Object, RolloutPlan
from andon.domains.delivery.judge import (
    Judgement,
    JudgeState,
    fold,
    frozen_thresholds,
    judge_sample,
    start_state,
)
from andon.domains.delivery.plan import backend_action, deploy_action
from andon.domains.delivery.rollout import Rollout
from andon.domains.delivery.sampling import counts_of, next_sample, plan_of, remember
from andon.domains.delivery.stopping import fail, stop, version_scope
from andon.domains.delivery.telling import call_person
from andon.domains.line.approvals import consents
from andon.domains.line.evidence import claim
from andon.domains.line.gate import ONE
from andon.domains.line.turn import describe_failure

LOOK_EVERY_SECONDS = 1.0
REPLICAS_EVERY_SECONDS = 3.0
LONELY_AFTER_SECONDS = 10.0
"""A canary that nobody has used for so long says so: no verdict will come by itself."""


def shift_and_judge(rollout: Rollout, step: str) -> bool:
    """Take one canary step; True once it may advance."""
    rollout.begin(step)
    if _paused(rollout, step):
        return False
    if not _baseline(rollout) or not _shift(rollout, step):
        return False
    if _lost_replicas(rollout) or "back" in rollout.memory:
        return False
    judgement = _look(rollout, step)
    return judgement is not None and _follow(rollout, step, judgement)


# --- weights ------------------------------------------------------------------------------------


def _baseline(rollout: Rollout) -> bool:
    """Before any traffic: freeze the latency thresholds at what stable does now."""
    if "judge" in rollout.memory:
        return True
    outcome = rollout.do_patiently("deploy/baseline", _traffic_action(rollout))
    if outcome is None:
        return False
    if not isinstance(outcome, TrafficObserved):
        rollout.say("deploy", describe_failure(outcome)[0])
        return False
    remember(rollout, outcome)
    stable = counts_of(rollout, outcome, stable=True)
    frozen = frozen_thresholds(stable.latency if stable else {}, rollout.plan.objective)
    rollout.memory["frozen"] = list(frozen)
    state = start_state(rollout.plan.rollout.judge, rollout.plan.objective, frozen)
    rollout.memory["judge"] = msgspec.to_builtins(state)
    return True


def _shift(rollout: Rollout, step: str) -> bool:
    """Set the step's weight, once; remember since when."""
    if rollout.memory.get("at") == step:
        return True
    plan, _ = plan_of(rollout, step)
    outcome = rollout.do_patiently(f"{step}/weight", rollout.weights_action(plan.weight))
    if outcome is None:
        return False
    if not isinstance(outcome, Done):
        fail(rollout, step, *describe_failure(outcome)[:2])
        return False
    rollout.memory |= {"at": step, "since": rollout.now, "took_traffic": True}
    rollout.memory.setdefault("first_traffic", rollout.now)
    rollout.set(phase="Running", reason="", message="", weight=plan.weight)
    return True


def _paused(rollout: Rollout, step: str) -> bool:
    """A Hold pulled meanwhile sends all traffic back to stable until it is lifted."""
    holds = rollout.holds()
    if not holds:
        return "paused" in rollout.memory and not _resume(rollout, step)
    if rollout.known(f"{step}/weight") and not _shift(rollout, step):
        return True  # two orders to the gateway at once would race
    reason = "; ".join(hold.spec.reason for hold in holds)
    rollout.say(step, f"held: {reason}")
    if rollout.previous is not None and rollout.memory.get("took_traffic"):
        outcome = rollout.do_patiently(f"{step}/pause", _all_to_stable(rollout))
        if outcome is not None:
            rollout.set(weight=0.0)
            rollout.again(f"{step}/pause")
    rollout.memory["paused"] = True
    rollout.set(phase="Waiting", reason="Held", message=f"held: {reason}")
    rollout.wake_at(rollout.now + 30)
    return True


def _resume(rollout: Rollout, step: str) -> bool:
    if (
        rollout.known(f"{step}/pause")
        and rollout.do(f"{step}/pause", _all_to_stable(rollout)) is None
    ):
        return False
    rollout.again(f"{step}/weight")
    rollout.again(f"{step}/pause")
    for key in ("paused", "at"):
        rollout.memory.pop(key, None)
    rollout.memory["last"] = (
        {**rollout.memory["last"], "source": ""} if "last" in rollout.memory else {}
    )
    return True


def _all_to_stable(rollout: Rollout) -> SetWeights:
    return rollout.weights_action(0.0)


# --- observing ----------------------------------------------------------------------------------


def _traffic_action(rollout: Rollout) -> ObserveTraffic:
    return ObserveTraffic(
        environment=rollout.plan.environment,
        service=rollout.plan.service,
        metrics=rollout.plan.rollout.judge.metrics,
        since=rollout.status.started_at if rollout.plan.rollout.judge.metrics else 0.0,
    )


def _lost_replicas(rollout: Rollout) -> bool:
    """Watch restarts; replicas that nobody knows any more are deployed again."""
    due = rollout.memory.get("replicas_due", 0.0)
    if not rollout.known("deploy/replicas") and rollout.now < due:
        return False
    outcome = rollout.do(
        "deploy/replicas",
        ObserveReplicas(
            environment=rollout.plan.environment,
            service=rollout.plan.service,
            version=rollout.plan.version,
        ),
    )
    if outcome is None:
        return False
    rollout.again("deploy/replicas")
    rollout.memory["replicas_due"] = rollout.now + REPLICAS_EVERY_SECONDS
    if not isinstance(outcome, ReplicasObserved):
        return False
    rollout.memory["restarts"] = outcome.restarts
    if outcome.wanted:
        return False
    _deploy_again(rollout)
    return True


def _deploy_again(rollout: Rollout) -> None:
    for key in ("endpoints", "at"):
        rollout.memory.pop(key, None)
    for step in ("deploy", "deploy/backend", "deploy/stable", "deploy/stable-backend"):
        rollout.again(step)
    rollout.memory["restore"] = True
    for name, row in rollout.rows().items():
        if name.startswith("canary-") and row.state == "running":
            rollout.again(f"{name}/weight")
    rollout.put(
        msgspec.structs.replace(
            rollout.rows()["deploy"], state="waiting", message="replicas were lost, deploying again"
        )
    )
    rollout.wake_at(rollout.now)


def restore_stable(rollout: Rollout) -> bool:
    """After a loss of replicas: have the version that serves everybody back first; True once it is."""
    stable = _plan_of_stable(rollout) if rollout.memory.get("restore") else None
    if stable is not None:
        ready = rollout.memory.get("stable_endpoints")
        if ready is None:
            outcome = rollout.do_patiently("deploy/stable", deploy_action(stable))
            if not isinstance(outcome, ReplicasReady):
                return _given_up(rollout, outcome)
            ready = rollout.memory["stable_endpoints"] = list(outcome.endpoints)
        added = rollout.do_patiently("deploy/stable-backend", backend_action(stable, ready))
        if not isinstance(added, BackendAdded):
            return _given_up(rollout, added)
    for key in ("restore", "stable_endpoints"):
        rollout.memory.pop(key, None)
    return True


def _given_up(rollout: Rollout, outcome: AnyOutcome | None) -> bool:
    if outcome is not None:
        message, _, _ = describe_failure(outcome)
        fail(rollout, "deploy", f"the version before cannot be brought back: {message}", "machine")
    return False


def _plan_of_stable(rollout: Rollout) -> RolloutPlan | None:
    """How to run the version that this rollout replaces: as the rollout did that brought it."""
    plans = [run.spec.rollout for run in rollout.rivals() if run.status.phase == "Succeeded"]
    key = rollout.previous.key if rollout.previous else ""
    return next((plan for plan in reversed(plans) if plan.version.key == key), None)


def _look(rollout: Rollout, step: str) -> Judgement | None:
    """Turn the next observation into a sample and judge it; None while there is nothing new."""
    if not rollout.known("deploy/traffic") and rollout.now < rollout.memory.get("look_due", 0.0):
        rollout.wake_at(rollout.memory["look_due"])
        return None
    outcome = rollout.do("deploy/traffic", _traffic_action(rollout))
    if outcome is None:
        return None
    rollout.again("deploy/traffic")
    due = rollout.now + LOOK_EVERY_SECONDS
    rollout.memory["look_due"] = due
    rollout.wake_at(due)
    if isinstance(outcome, ActionFailed):
        rollout.say(step, f"cannot see the traffic: {outcome.message}")
        return None
    if not isinstance(outcome, TrafficObserved) or outcome.at < rollout.memory["since"]:
        return None
    return _judge(rollout, step, outcome)


def _judge(rollout: Rollout, step: str, seen: TrafficObserved) -> Judgement | None:
    sample = next_sample(rollout, step, seen)
    remember(rollout, seen)
    if sample is None:
        return None
    policy = rollout.plan.rollout
    if rollout.now - rollout.memory["first_traffic"] < policy.warmup_seconds:
        return None
    state = msgspec.convert(rollout.memory["judge"], JudgeState)
    state = fold(state, sample)
    rollout.memory["judge"] = msgspec.to_builtins(state)
    body = msgspec.to_builtins(sample, str_keys=True)
    rollout.samples.append(body)
    rollout.memory["samples"] = rollout.memory.get("samples", 0) + 1
    judgement = judge_sample(state, sample, policy.judge, rollout.plan.objective)
    _show(rollout, judgement)
    return judgement


def _show(rollout: Rollout, judgement: Judgement) -> None:
    rollout.set(
        verdict=judgement.verdict,
        expected_seconds=judgement.expected_seconds or 0,
        evidence_log=judgement.harm_log,
        evidence_threshold=judgement.harm_threshold,
        fit_log=judgement.fit_log,
        fit_threshold=judgement.fit_threshold,
        canary_requests=judgement.canary_requests,
        canary_errors=judgement.canary_errors,
        stable_requests=judgement.stable_requests,
        stable_errors=judgement.stable_errors,
    )


# --- following the verdict ----------------------------------------------------------------------


def _follow(rollout: Rollout, step: str, judgement: Judgement) -> bool:
    plan, last = plan_of(rollout, step)
    waited = rollout.now - rollout.memory["since"]
    rollout.say(step, judgement.reason)
    if judgement.verdict == "RollBack":
        rollout.create.append(_evidence(rollout, step, judgement, "Fail"))
        rollout.end(step, "failed", judgement.reason, "change")
        stop(rollout, "change", "JudgedHarmful", judgement.reason)
        return False
    least = max(plan.min_seconds, rollout.pace_seconds())
    if judgement.verdict == "Advance" and waited >= least:
        return _advance(rollout, step, judgement)
    if last and _quiet_soak(rollout, judgement, waited):
        return _advance(rollout, step, judgement)
    if judgement.verdict == "Untrustworthy":
        if waited >= plan.min_seconds and _approved(rollout):
            return _advance(rollout, step, judgement)
        message = f"a person may approve: {judgement.reason}"
        rollout.set(phase="Waiting", reason="Untrustworthy", message=message)
        call_person(rollout, step, "Untrustworthy")
    elif waited > plan.max_seconds:
        if _approved(rollout):
            return _advance(rollout, step, judgement)
        rollout.set(
            phase="Waiting",
            reason="NoVerdict",
            message=f"no verdict in {plan.max_seconds:g} s, a person may approve: {judgement.reason}",
        )
        call_person(rollout, step, "NoVerdict")
    elif _lonely(rollout):
        if waited >= least and _approved(rollout):
            return _advance(rollout, step, judgement)
        rollout.set(phase="Running", reason="NoTraffic", message=_ask_for_traffic(rollout))
    elif rollout.status.phase == "Waiting" or rollout.status.reason == "NoTraffic":
        rollout.set(phase="Running", reason="", message="")
    return False


def _lonely(rollout: Rollout) -> bool:
    idle: float = rollout.memory["judge"]["idle_seconds"]
    return rollout.previous is not None and idle >= LONELY_AFTER_SECONDS


def _ask_for_traffic(rollout: Rollout) -> str:
    return (
        f"nobody uses {rollout.plan.service} in {rollout.plan.environment} now, so nothing can be "
        "judged: send it requests, or have somebody else take the step unjudged: andon approve "
        f"{rollout.spec.change} --environment {rollout.plan.environment} -m REASON"
    )


def _quiet_soak(rollout: Rollout, judgement: Judgement, waited: float) -> bool:
    """A first release that nobody has met an error in: its health is all there is.

    One visit, and then nobody, must not keep it waiting: there is nothing to compare it with.
    """
    return (
        rollout.previous is None
        and judgement.verdict == "Wait"
        and judgement.canary_errors == 0
        and judgement.harm_log < judgement.harm_threshold / 2
        and waited >= rollout.plan.rollout.soak_seconds
    )


def unjudged_since(run: Object) -> float:
    """Say since when a step waits for a consent of its own, to go on unjudged; 0: none does."""
    waits = run.status.reason in {"NoVerdict", "NoTraffic", "Untrustworthy"}
    return float(run.status.memory["since"]) if waits else 0.0


def _approved(rollout: Rollout) -> bool:
    """Say whether as many people as the gate asks for have consented since the step began."""
    rule = rollout.plan.approvals or ONE
    claims = rollout.view.related.get("approvals", ())
    since: float = rollout.memory["since"]
    return len(consents(rollout.subject, claims, rule, since=since)) >= rule.count


def _advance(rollout: Rollout, step: str, judgement: Judgement) -> bool:
    rollout.create.append(_evidence(rollout, step, judgement, "Pass"))
    rollout.end(step, "passed", judgement.reason)
    rollout.set(phase="Running", reason="", message="")
    return True


def _evidence(rollout: Rollout, step: str, judgement: Judgement, verdict: str) -> NewObject:
    value: dict[str, Any] = msgspec.to_builtins(judgement)
    value["sample"] = rollout.memory.get("samples", 0)
    return claim(
        name=f"{rollout.run}-{step}",
        subject=version_scope(rollout),
        check=f"judge/{step}",
        verdict="Pass" if verdict == "Pass" else "Fail",
        source="judge",
        now=rollout.now,
        message=judgement.reason,
        value=value,
    )
