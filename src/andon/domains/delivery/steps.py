"""The steps of a rollout between its gate and its end, besides watching a canary.

Each returns True once it is done, and asks again on a later turn until then.
"""

from __future__ import annotations

from andon.api.v1.actions import (
    BackendAdded,
    DesiredWritten,
    Done,
    RemoveBackend,
    ReplicasReady,
    RetireReplicas,
    WriteDesired,
)
from andon.api.v1.records import Version
from andon.domains.delivery.jobs import carry_out
from andon.domains.delivery.plan import backend_action, deploy_action
from andon.domains.delivery.rollout import Rollout
from andon.domains.delivery.stopping import fail
from andon.domains.delivery.watching import restore_stable
from andon.domains.line.turn import describe_failure


def write_desired(rollout: Rollout) -> bool:
    """Say in git what should run."""
    rollout.begin("desired")
    outcome = rollout.do_patiently(
        "desired",
        WriteDesired(
            environment=rollout.plan.environment,
            service=rollout.plan.service,
            version=rollout.plan.version,
            expected=rollout.previous,
            force=rollout.spec.type == "rollback" or "stuck" in rollout.memory,
            message=f"{rollout.run}: {rollout.plan.service} {rollout.plan.version.key}",
        ),
    )
    if isinstance(outcome, DesiredWritten):
        rollout.end("desired", "passed", f"commit {outcome.commit[:12]}")
        return True
    if outcome is not None:
        fail(rollout, "desired", *describe_failure(outcome)[:2])
    return False


def run_job(rollout: Rollout, step: str) -> bool:
    """Run a job before or after the deployment."""
    end = carry_out(rollout, step)
    if end is not None and not end.passed:
        fail(rollout, step, end.message, end.fault, end.log)
    return end is not None and end.passed


def deploy(rollout: Rollout) -> bool:
    """Have replicas ready, and behind the gateway at weight 0."""
    rollout.begin("deploy")
    if not restore_stable(rollout):
        return False
    endpoints = rollout.memory.get("endpoints")
    if endpoints is None:
        outcome = rollout.do_patiently("deploy", deploy_action(rollout.plan))
        if outcome is None:
            return False
        if not isinstance(outcome, ReplicasReady):
            fail(rollout, "deploy", *describe_failure(outcome))
            return False
        endpoints = rollout.memory["endpoints"] = list(outcome.endpoints)
    rollout.memory["exposed"] = True
    added = rollout.do_patiently("deploy/backend", backend_action(rollout.plan, endpoints))
    if added is None:
        return False
    if not isinstance(added, BackendAdded):
        rollout.memory["exposed"] = False
        fail(rollout, "deploy", *describe_failure(added))
        return False
    rollout.end("deploy", "passed", f"{len(endpoints)} ready behind {added.address}")
    return True


def switch(rollout: Rollout) -> bool:
    """Give the new version all traffic at once."""
    rollout.begin("switch")
    outcome = rollout.do_patiently("switch", rollout.weights_action(100.0))
    if isinstance(outcome, Done):
        rollout.memory["took_traffic"] = True
        rollout.set(weight=100.0)
        rollout.end("switch", "passed")
        return True
    if outcome is not None:
        fail(rollout, "switch", *describe_failure(outcome)[:2])
    return False


def retire(rollout: Rollout) -> bool:
    """Drain what the new version replaces, and stop it."""
    rollout.begin("retire")
    left = _left_by_stuck(rollout)
    if rollout.previous is None and left is None:
        rollout.end("retire", "skipped-by-rule", "no earlier version ran here")
        return True
    for step, old in (("retire", rollout.previous), ("retire/stuck", left)):
        if old is not None and not _retire_version(rollout, step, old):
            return rollout.ended("retire")
    rollout.end("retire", "passed")
    return True


def _left_by_stuck(rollout: Rollout) -> Version | None:
    """The version that a rollout without a way back has left behind the gateway."""
    name = rollout.memory.get("stuck")
    found = next((run for run in rollout.rivals() if run.name == name), None)
    if found is None or not found.status.memory.get("exposed"):
        return None
    version: Version = found.spec.rollout.version
    return None if version.key == rollout.plan.version.key else version


def _retire_version(rollout: Rollout, step: str, old: Version) -> bool:
    """Drain a version and stop it; it goes on running if the drain is not confirmed."""
    place = {"environment": rollout.plan.environment, "service": rollout.plan.service}
    drain = rollout.plan.drain_seconds
    remove = RemoveBackend(version=old, drain_seconds=drain, **place)
    retire = RetireReplicas(version=old, drain_seconds=drain, **place)
    for name, action in ((f"{step}/backend", remove), (f"{step}/replicas", retire)):
        if name in rollout.memory.get("retired", ()):
            continue
        outcome = rollout.do_patiently(name, action)
        if outcome is None:
            return False
        if not isinstance(outcome, Done):
            rollout.end("retire", "failed", describe_failure(outcome)[0], "machine")
            return False
        rollout.memory["retired"] = [*rollout.memory.get("retired", ()), name]
    return True
