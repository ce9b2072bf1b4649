"""Carries out one rollout: a version of a service taking over in an environment.

Forward: gate, desired state, pre-deploy jobs, replicas, weights with the judge at each, post-deploy
jobs, and only then the old version leaves. Anything that goes wrong by the version's own fault turns
the Run around (``stopping``): latch, weight to zero, desired state reverted.
"""

from __future__ import annotations

from andon.api.v1.control import Decision, Selector, View
from andon.api.v1.records import TERMINAL, Object, RolloutPlan, Subject
from andon.domains.delivery import steps, together
from andon.domains.delivery.cancelling import cancel_at_gate
from andon.domains.delivery.entering import pass_gate
from andon.domains.delivery.rollout import Rollout
from andon.domains.delivery.stopping import stop
from andon.domains.delivery.telling import keep_telling
from andon.domains.delivery.watching import shift_and_judge
from andon.domains.delivery.way_back import go_back
from andon.domains.line import cancellation, events, promises
from andon.domains.line.evidence import claim

RIVALS = 20


class RolloutController:
    """Reconciles Runs of the type ``rollout`` and ``rollback``.

    Args:
        type: Which of the two.
    """

    def __init__(self, type: str = "rollout") -> None:
        self.kind = f"Run:{type}"
        self._type = type

    def select(self, obj: Object) -> dict[str, Selector]:
        """See the environment, rivals for the same place, and what people and checks have said."""
        plan: RolloutPlan = obj.spec.rollout
        place = {"environment": plan.environment, "service": plan.service}
        return {
            "cancellation": cancellation.selector(obj),
            "environment": Selector(kind="Environment", name=plan.environment),
            "rivals": Selector(kind="Run", labels=place, newest=RIVALS),
            "holds": Selector(kind="Hold", labels={"state": "active"}),
            "evidence": Selector(
                kind="Evidence",
                labels={"service": plan.service, "digest": plan.version.digest},
                newest=200,
            ),
            "promises": Selector(kind="Evidence", labels={"check": promises.CHECK, **place}),
            "approvals": Selector(kind="Approval", labels={"change": obj.spec.change}, newest=50),
            **together.selector(obj),
        }

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Wake the Runs of the place that changed."""
        labels = {"type": self._type}
        others: tuple[Selector, ...] = ()
        match changed.kind:
            case "Environment":
                labels["environment"] = changed.name
            case "Run" if changed.labels.get("type") in {"rollout", "rollback"}:
                labels |= {key: changed.labels[key] for key in ("environment", "service")}
                others = together.wakes(changed, self._type)
            case "Hold":
                scope: Subject = changed.spec.scope
                named = {
                    "environment": scope.environment,
                    "service": scope.service,
                    "digest": scope.digest,
                }
                labels |= {key: value for key, value in named.items() if value}
            case "Evidence" if changed.labels.get("digest"):
                labels["digest"] = changed.labels["digest"]
            case "Evidence" if changed.labels.get("check") == promises.CHECK:
                labels |= {key: changed.labels[key] for key in ("environment", "service")}
            case "Approval":
                labels["change"] = changed.labels.get("change", "")
            case "Cancellation":
                return cancellation.wakes(changed)
            case _:
                return ()
        return (Selector(kind="Run", labels=labels, newest=RIVALS), *others)

    def reconcile(self, view: View, now: float) -> Decision:
        """Advance the Run as far as its facts allow."""
        rollout = Rollout(view, now)
        if view.object.status.phase in TERMINAL:
            return keep_telling(rollout)
        if "back" in rollout.memory:
            go_back(rollout)
        else:
            forward(rollout)
        return rollout.decision()


def forward(rollout: Rollout) -> None:
    """Walk the steps until one has to wait."""
    if not rollout.ended("gate"):
        wish = cancellation.wish(rollout.view)
        if wish is not None:
            cancel_at_gate(rollout, wish)
            return
        if not pass_gate(rollout):
            return
    elif _asked_to_stop(rollout):
        return
    for row in sorted(rollout.rows().values(), key=lambda row: row.position):
        if not rollout.ended(row.name) and not _walk(rollout, row.name):
            return
        if "back" in rollout.memory:
            return
    _succeed(rollout)


def _walk(rollout: Rollout, step: str) -> bool:
    if step == "desired":
        return steps.write_desired(rollout)
    if step == "deploy":
        return steps.deploy(rollout)
    if step.startswith("canary-"):
        return shift_and_judge(rollout, step)
    if step == "switch":
        return steps.switch(rollout)
    if step == "retire":
        return together.is_ready(rollout) and steps.retire(rollout)
    return steps.run_job(rollout, step)


def _asked_to_stop(rollout: Rollout) -> bool:
    """Turn around for a person or the group, once nothing is under way; jobs are not waited for.

    Once the version before is leaving, there is nothing to turn back to: the rollout ends first.
    """
    asked = None if _takes_over(rollout) else _asked(rollout)
    if asked is None:
        return False
    not_awaited = rollout.clean_up | rollout.end_jobs(spare=rollout.clean_up)
    under_way = (row for row in rollout.view.actions if row.outcome is None)
    if all(row.step in not_awaited for row in under_way):
        stop(rollout, None, *asked)
    return True


def _takes_over(rollout: Rollout) -> bool:
    return rollout.rows()["retire"].state != "waiting"


def _asked(rollout: Rollout) -> tuple[str, str] | None:
    """Return why this rollout is to end, though it did no wrong: reason and message."""
    rollbacks = [run for run in rollout.later() if run.spec.type == "rollback"]
    if rollbacks:
        reason = rollbacks[-1].spec.rollout.reason
        return "Aborted", f"a person asked for a rollback: {reason}"
    wish = cancellation.wish(rollout.view)
    if wish is not None:
        return cancellation.REASON, cancellation.tell(wish)
    fallen = together.why_stopped(rollout)
    return (together.REASON, fallen) if fallen else None


def _succeed(rollout: Rollout) -> None:
    version = rollout.plan.version
    verb = "upgraded" if rollout.previous else "deployed"
    if rollout.spec.type == "rollback":
        verb = "rolledback"
    rollout.set(phase="Succeeded", reason="Promoted", message="", finished_at=rollout.moment())
    rollout.create.append(
        claim(
            name=f"{rollout.run}-deployed",
            subject=Subject(service=rollout.plan.service, digest=version.digest),
            check=f"deployed/{rollout.plan.environment}",
            verdict="Pass",
            source=f"run:{rollout.run}",
            now=rollout.now,
        )
    )
    rollout.events += [
        events.service_event(
            verb,
            run=rollout.run,
            environment=rollout.plan.environment,
            service=rollout.plan.service,
            version=version,
            change=rollout.spec.change,
            cause=f"run/{rollout.run}/started",
        ),
        events.run_finished(rollout.run, rollout.stream, rollout.spec.change, "success", ""),
    ]
