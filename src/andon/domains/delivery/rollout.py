"""Carries out one rollout: a version of a service taking over in an environment.

Forward: gate, desired state, pre-deploy jobs, replicas, weights with the judge at each, post-deploy
jobs, and only then the old version leaves. Anything that goes wrong by the version's own fault turns
the Run around (``stopping``): latch, weight to zero, desired state reverted.
"""

from __future__ import annotations

from andon.api.v1.actions import (
    BackendAdded,
    DesiredWritten,
    Done,
    JobDone,
    RemoveBackend,
    ReplicasReady,
    RetireReplicas,
    RunJob,
    SetWeights,
    WriteDesired,
)
from andon.api.v1.control import Decision, Selector, View
from andon.api.v1.records import (
    TERMINAL,
    JobPlan,
    Object,
    RolloutPlan,
    RunSpec,
    Subject,
    Version,
)
from andon.domains.delivery import watching
from andon.domains.delivery.plan import backend_action, deploy_action, plan_steps
from andon.domains.delivery.stopping import go_back, keep_telling, stop
from andon.domains.line import events
from andon.domains.line.evidence import claim
from andon.domains.line.gate import Gate, judge_gate, matching_holds
from andon.domains.line.turn import TRYING_AGAIN, Turn, describe_failure

MACHINE_ATTEMPTS = 4
POLL_SECONDS = 30.0
"""A slow look at what should have woken the Run anyway."""
RIVALS = 20
CLOCK_STEP_SECONDS = 0.001


class RolloutController:
    """Reconciles Runs of the type ``rollout`` and ``rollback``.

    Args:
        type: Which of the two.
    """

    def __init__(self, type: str = "rollout") -> None:
        self.kind = f"Run:{type}"
        self._type = type

    def select(self, obj: Object) -> dict[str, Selector]:
        """See the environment, rivals for the same place, Holds, Evidence and Approvals."""
        plan: RolloutPlan = obj.spec.rollout
        place = {"environment": plan.environment, "service": plan.service}
        return {
            "environment": Selector(kind="Environment", name=plan.environment),
            "rivals": Selector(kind="Run", labels=place, newest=RIVALS),
            "holds": Selector(kind="Hold", labels={"state": "active"}),
            "evidence": Selector(
                kind="Evidence",
                labels={"service": plan.service, "digest": plan.version.digest},
                newest=200,
            ),
            "approvals": Selector(kind="Approval", labels={"change": obj.spec.change}, newest=50),
        }

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Wake the Runs of the place that changed."""
        labels = {"type": self._type}
        match changed.kind:
            case "Environment":
                labels["environment"] = changed.name
            case "Run" if changed.labels.get("type") in {"rollout", "rollback"}:
                labels |= {key: changed.labels[key] for key in ("environment", "service")}
            case "Hold":
                scope: Subject = changed.spec.scope
                named = {"environment": scope.environment, "service": scope.service}
                labels |= {key: value for key, value in named.items() if value}
            case "Evidence" if changed.labels.get("digest"):
                labels["digest"] = changed.labels["digest"]
            case "Approval":
                labels["change"] = changed.labels.get("change", "")
            case _:
                return ()
        return (Selector(kind="Run", labels=labels, newest=RIVALS),)

    def reconcile(self, view: View, now: float) -> Decision:
        """Advance the Run as far as its facts allow."""
        rollout = Rollout(view, now)
        if view.object.status.phase in TERMINAL:
            return keep_telling(rollout)
        if "back" in rollout.memory:
            go_back(rollout)
        else:
            rollout.forward()
        return rollout.decision()


class Rollout(Turn):
    """One turn of a rollout."""

    def __init__(self, view: View, now: float) -> None:
        super().__init__(view, now)
        self.run = view.object.name
        self.spec: RunSpec = view.object.spec
        assert self.spec.rollout is not None
        self.plan: RolloutPlan = self.spec.rollout
        self.stream = events.environment_stream(self.plan.environment)
        self.subject = Subject(
            service=self.plan.service,
            environment=self.plan.environment,
            digest=self.plan.version.digest,
            config_hash=self.plan.version.config_hash,
            change=self.spec.change,
        )

    # --- what is around --------------------------------------------------------------------------

    @property
    def previous(self) -> Version | None:
        """The version that ran when this rollout began."""
        return self.status.previous

    def holds(self) -> tuple[Object, ...]:
        """Active Holds on this version, here."""
        return matching_holds(self.subject, self.view.related.get("holds", ()), self.now)

    def rivals(self) -> list[Object]:
        """Other rollouts of the same service in the same environment."""
        return [run for run in self.view.related.get("rivals", ()) if run.name != self.run]

    def _order(self, run: Object) -> tuple[int, str]:
        return (run.spec.sequence, run.uid)

    def _later(self) -> list[Object]:
        mine = self._order(self.view.object)
        return [
            run
            for run in self.rivals()
            if self._order(run) > mine and run.status.phase not in TERMINAL
        ]

    # --- forward ---------------------------------------------------------------------------------

    def forward(self) -> None:
        """Walk the steps until one has to wait."""
        if not self.ended("gate"):
            if not self._pass_gate():
                return
        elif self._asked_to_stop():
            return
        for row in sorted(self.rows().values(), key=lambda row: row.position):
            if not self.ended(row.name) and not self._walk(row.name):
                return
            if "back" in self.memory:
                return
        self._succeed()

    def _walk(self, step: str) -> bool:
        if step == "desired":
            return self._write_desired()
        if step == "deploy":
            return self._deploy()
        if step.startswith("canary-"):
            return watching.shift_and_judge(self, step)
        if step == "switch":
            return self._switch()
        if step == "retire":
            return self._retire()
        return self._run_job(step)

    def _asked_to_stop(self) -> bool:
        asked = [run for run in self._later() if run.spec.type == "rollback"]
        if not asked or any(row.outcome is None for row in self.view.actions):
            return False
        reason = asked[-1].spec.rollout.reason
        stop(self, None, "Aborted", f"a person asked for a rollback: {reason}")
        return True

    # gate

    def _pass_gate(self) -> bool:
        self.begin("gate")
        if self._superseded() or self._queued():
            return False
        environment = self._environment()
        if environment is None:
            return False
        current = environment.status.services.get(self.plan.service)
        stuck = self._stuck()
        if current is not None and current.key == self.plan.version.key and stuck is None:
            self._nothing_to_do()
            return False
        gate = self._judge_gate()
        if not gate.open:
            self._wait_at(gate)
            return False
        self._start(current, stuck)
        return True

    def _superseded(self) -> bool:
        newer = [run for run in self._later() if run.spec.type == self.spec.type]
        if not newer or self.spec.type == "rollback":
            return False
        message = f"superseded by {newer[-1].name}"
        self.close_open_steps("cancelled", message)
        self.set(phase="Cancelled", reason="Superseded", message=message, finished_at=self.now)
        return True

    def _queued(self) -> bool:
        """Wait for who is under way; a person's rollback overtakes whoever waits at the gate."""
        ahead = [
            run
            for run in self.rivals()
            if run.status.phase not in TERMINAL and self._goes_first(run)
        ]
        if not ahead:
            return False
        message = f"queued behind {ahead[0].name}"
        self.say("gate", message)
        self.set(phase="Pending", reason="Queued", message=message)
        self.wake_at(self.now + POLL_SECONDS)
        return True

    def _goes_first(self, run: Object) -> bool:
        if run.status.started_at:
            return True
        if run.spec.type != self.spec.type:
            return bool(run.spec.type == "rollback")
        return self._order(run) < self._order(self.view.object)

    def _stuck(self) -> Object | None:
        """The last rollout that was left where it stood, if nothing has succeeded since."""
        ended = [run for run in self.rivals() if run.status.finished_at]
        ended = [run for run in ended if run.status.reason in {"NoWayBack", "Promoted"}]
        last = max(ended, key=lambda run: float(run.status.finished_at), default=None)
        return last if last is not None and last.status.reason == "NoWayBack" else None

    def moment(self) -> float:
        """Now, but later than all the environment has noted, even where the clock was set back."""
        found = self.view.related.get("environment", ())
        noted = found[0].status.since.get(self.plan.service, 0.0) if found else 0.0
        return max(self.now, noted + CLOCK_STEP_SECONDS)

    def _environment(self) -> Object | None:
        """The environment, once it has taken note of all earlier rollouts here."""
        found = self.view.related.get("environment", ())
        if not found:
            self.say("gate", f"environment {self.plan.environment} is not known yet")
            return None
        seen = found[0].status.since.get(self.plan.service, 0.0)
        behind = any(
            run.status.phase == "Succeeded" and run.status.finished_at > seen
            for run in self.rivals()
        )
        if behind:
            self.wake_at(self.now + 1)
        return None if behind else found[0]

    def _judge_gate(self) -> Gate:
        related = self.view.related
        claims = (*related.get("evidence", ()), *related.get("approvals", ()))
        return judge_gate(
            self.subject,
            self.plan.requires,
            claims,
            related.get("holds", ()) if self.spec.type == "rollout" else (),
            self.now,
            self.plan.max_age_seconds,
        )

    def _wait_at(self, gate: Gate) -> None:
        reason = "Held" if gate.holds else "EvidenceMissing"
        self.say("gate", gate.explain())
        self.set(phase="Waiting", reason=reason, message=gate.explain())
        self.wake_at(self.now + POLL_SECONDS)

    def _nothing_to_do(self) -> None:
        self.end("gate", "skipped-by-rule", "this version already runs here")
        self.set(
            phase="Succeeded",
            reason="AlreadyThere",
            message="this version already runs here",
            finished_at=self.moment(),
        )

    def _start(self, current: Version | None, stuck: Object | None) -> None:
        self.end("gate", "passed")
        if stuck is not None:
            self.memory["stuck"] = stuck.name
        if current is not None and current.key == self.plan.version.key:
            current = None
        self.set(phase="Running", reason="", message="", previous=current, started_at=self.now)
        self.plan_steps(plan_steps(self.plan, first=current is None))
        cause = events.packaged_id(self.spec.change, self.plan.service)
        self.events.append(events.run_started(self.run, self.stream, self.spec.change, cause))

    # desired state

    def _write_desired(self) -> bool:
        self.begin("desired")
        outcome = self.do_patiently(
            "desired",
            WriteDesired(
                environment=self.plan.environment,
                service=self.plan.service,
                version=self.plan.version,
                expected=self.previous,
                force=self.spec.type == "rollback" or "stuck" in self.memory,
                message=f"{self.run}: {self.plan.service} {self.plan.version.key}",
            ),
        )
        if isinstance(outcome, DesiredWritten):
            self.end("desired", "passed", f"commit {outcome.commit[:12]}")
            return True
        if outcome is not None:
            self.fail("desired", *describe_failure(outcome)[:2])
        return False

    # jobs around the deployment

    def _job(self, step: str) -> JobPlan:
        jobs = {f"pre-{job.name}": job for job in self.plan.pre_deploy}
        jobs |= {f"post-{job.name}": job for job in self.plan.post_deploy}
        return jobs[step]

    def _run_job(self, step: str) -> bool:
        job = self._job(step)
        self.begin(step)
        if job.irreversible and not self.status.past_irreversible:
            self.set(past_irreversible=True)
            self.say(step, "irreversible: from here on Andon will not roll back by itself")
        outcome = self.do(
            step,
            RunJob(
                run=self.run,
                repository=self.plan.repository,
                sha=self.plan.sha,
                job=job,
                environment=self.plan.environment,
                env=self.plan.config,
                needs=tuple(dict.fromkeys((self.plan.service, *self.plan.needs))),
            ),
        )
        if outcome is None:
            return False
        if isinstance(outcome, JobDone) and outcome.state == "passed":
            self.end(step, "passed", log=outcome.log)
            self._claim(job, "Pass", "")
            self._tell_job(step, "success", "")
            return True
        message, fault, log = describe_failure(outcome)
        if fault == "machine" and self.retry(step, MACHINE_ATTEMPTS):
            self.say(step, f"{TRYING_AGAIN}: {message}")
            return False
        if fault == "change":
            self._claim(job, "Fail", message)
        self._tell_job(step, "failure" if fault == "change" else "error", message)
        self.fail(step, message, fault, log)
        return False

    def _claim(self, job: JobPlan, verdict: str, message: str) -> None:
        subject = Subject(service=self.plan.service, digest=self.plan.version.digest)
        self.create.append(
            claim(
                name=f"{self.run}-{job.evidence}",
                subject=subject,
                check=job.evidence,
                verdict="Pass" if verdict == "Pass" else "Fail",
                source=f"run:{self.run}/{job.name}",
                now=self.now,
                message=message,
            )
        )

    def _tell_job(self, step: str, outcome: str, message: str) -> None:
        self.events.append(
            events.task_finished(
                self.run,
                step,
                self.attempt(step),
                self.stream,
                self.spec.change,
                outcome,
                message,
            )
        )

    # replicas and backend

    def _deploy(self) -> bool:
        self.begin("deploy")
        if not watching.restore_stable(self):
            return False
        endpoints = self.memory.get("endpoints")
        if endpoints is None:
            outcome = self.do_patiently("deploy", deploy_action(self.plan))
            if outcome is None:
                return False
            if not isinstance(outcome, ReplicasReady):
                self.fail("deploy", *describe_failure(outcome))
                return False
            endpoints = self.memory["endpoints"] = list(outcome.endpoints)
        self.memory["exposed"] = True
        added = self.do_patiently("deploy/backend", backend_action(self.plan, endpoints))
        if added is None:
            return False
        if not isinstance(added, BackendAdded):
            self.memory["exposed"] = False
            self.fail("deploy", *describe_failure(added))
            return False
        self.end("deploy", "passed", f"{len(endpoints)} ready behind {added.address}")
        return True

    def weights_action(self, percent: float) -> SetWeights:
        """Ask for so much traffic on the new version, the rest on the previous one."""
        weights = {self.plan.version.key: percent}
        if self.previous is not None:
            weights[self.previous.key] = 100.0 - percent
        return SetWeights(
            environment=self.plan.environment, service=self.plan.service, weights=weights
        )

    def _switch(self) -> bool:
        self.begin("switch")
        outcome = self.do_patiently("switch", self.weights_action(100.0))
        if isinstance(outcome, Done):
            self.memory["took_traffic"] = True
            self.set(weight=100.0)
            self.end("switch", "passed")
            return True
        if outcome is not None:
            self.fail("switch", *describe_failure(outcome)[:2])
        return False

    def _retire(self) -> bool:
        self.begin("retire")
        left = self._left_by_stuck()
        if self.previous is None and left is None:
            self.end("retire", "skipped-by-rule", "no earlier version ran here")
            return True
        for step, old in (("retire", self.previous), ("retire/stuck", left)):
            if old is not None and not self._retire_version(step, old):
                return self.ended("retire")
        self.end("retire", "passed")
        return True

    def _left_by_stuck(self) -> Version | None:
        """The version that a rollout without a way back has left behind the gateway."""
        name = self.memory.get("stuck")
        found = next((run for run in self.rivals() if run.name == name), None)
        if found is None or not found.status.memory.get("exposed"):
            return None
        version: Version = found.spec.rollout.version
        return None if version.key == self.plan.version.key else version

    def _retire_version(self, step: str, old: Version) -> bool:
        """Drain a version and stop it; it goes on running if the drain is not confirmed."""
        place = {"environment": self.plan.environment, "service": self.plan.service}
        drain = self.plan.drain_seconds
        remove = RemoveBackend(version=old, drain_seconds=drain, **place)
        retire = RetireReplicas(version=old, drain_seconds=drain, **place)
        for name, action in ((f"{step}/backend", remove), (f"{step}/replicas", retire)):
            if name in self.memory.get("retired", ()):
                continue
            outcome = self.do_patiently(name, action)
            if outcome is None:
                return False
            if not isinstance(outcome, Done):
                self.end("retire", "failed", describe_failure(outcome)[0], "machine")
                return False
            self.memory["retired"] = [*self.memory.get("retired", ()), name]
        return True

    # the ends

    def fail(self, step: str, message: str, fault: str, log: str = "") -> None:
        """End a step as failed and turn the Run around."""
        by_change = fault == "change"
        self.end(
            step,
            "failed" if by_change else "interrupted",
            message,
            "change" if by_change else "machine",
            log,
        )
        stop(self, "change" if by_change else "machine", "StepFailed", f"{step}: {message}")

    def _succeed(self) -> None:
        version = self.plan.version
        verb = "upgraded" if self.previous else "deployed"
        if self.spec.type == "rollback":
            verb = "rolledback"
        self.set(phase="Succeeded", reason="Promoted", message="", finished_at=self.moment())
        self.create.append(
            claim(
                name=f"{self.run}-deployed",
                subject=Subject(service=self.plan.service, digest=version.digest),
                check=f"deployed/{self.plan.environment}",
                verdict="Pass",
                source=f"run:{self.run}",
                now=self.now,
            )
        )
        self.events += [
            events.service_event(
                verb,
                run=self.run,
                environment=self.plan.environment,
                service=self.plan.service,
                version=version,
                change=self.spec.change,
                cause=f"run/{self.run}/started",
            ),
            events.run_finished(self.run, self.stream, self.spec.change, "success", ""),
        ]
