"""A rollout as its steps see it: what it is to do, and what is around it."""

from __future__ import annotations

from andon.api.v1.actions import SetWeights
from andon.api.v1.control import View
from andon.api.v1.records import TERMINAL, Object, RolloutPlan, RunSpec, Subject, Version
from andon.domains.delivery.rotation import is_rotation
from andon.domains.line import events
from andon.domains.line.gate import ONE, RAISE_WEIGHT, Passage, effect_of, stopping_holds
from andon.domains.line.turn import Turn

CLOCK_STEP_SECONDS = 0.001


def clean_up_steps(plan: RolloutPlan) -> frozenset[str]:
    """Return the steps of the jobs that run in any case."""
    jobs = {f"pre-{job.name}": job for job in plan.pre_deploy}
    jobs |= {f"post-{job.name}": job for job in plan.post_deploy}
    return frozenset(step for step, job in jobs.items() if job.always)


def _slows(hold: Object) -> bool:
    return effect_of(hold.spec, RAISE_WEIGHT) == "slow"


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

    @property
    def clean_up(self) -> frozenset[str]:
        """Steps that run whatever becomes of the others, once there are steps."""
        rows = self.rows()
        return frozenset(step for step in clean_up_steps(self.plan) if step in rows)

    @property
    def previous(self) -> Version | None:
        """The version that ran when this rollout began."""
        return self.status.previous

    def holds(self) -> tuple[Object, ...]:
        """Active Holds that stop this version from taking more traffic, here."""
        return tuple(hold for hold in self._stopping() if not _slows(hold))

    def pace_seconds(self) -> float:
        """How long each step takes at least, as Holds that only slow it down say."""
        return max((hold.spec.pace_seconds for hold in self._stopping() if _slows(hold)), default=0)

    def _stopping(self) -> tuple[Object, ...]:
        related = self.view.related
        passage = Passage(
            subject=self.subject,
            deed=RAISE_WEIGHT,
            claims=related.get("approvals", ()),
            rule=self.plan.approvals or ONE,
            last_at=self.now,
            since=self.now - self.plan.max_age_seconds,
        )
        return stopping_holds(passage, related.get("holds", ()), self.now)

    def rivals(self) -> list[Object]:
        """Other rollouts of the same service in the same environment."""
        return [run for run in self.view.related.get("rivals", ()) if run.name != self.run]

    def order(self, run: Object) -> tuple[int, str]:
        """Sort rivals by arrival."""
        return (run.spec.sequence, run.uid)

    def later(self) -> list[Object]:
        """Rivals that arrived after this one and have not ended."""
        mine = self.order(self.view.object)
        return [
            run
            for run in self.rivals()
            if self.order(run) > mine and run.status.phase not in TERMINAL
        ]

    def goes_first(self, run: Object) -> bool:
        """Say whether a rival is under way or overtakes this one."""
        if run.status.started_at:
            return True
        if is_rotation(run) != is_rotation(self.view.object) and run.spec.type == "rollout":
            # A Change takes newer secrets along: it lets a rotation go first, but not one that waits.
            return is_rotation(run) and run.status.phase != "Waiting"
        if run.spec.type != self.spec.type:
            return bool(run.spec.type == "rollback")
        return self.order(run) < self.order(self.view.object)

    def moment(self) -> float:
        """Now, but later than all the environment has noted, even where the clock was set back."""
        found = self.view.related.get("environment", ())
        noted = found[0].status.since.get(self.plan.service, 0.0) if found else 0.0
        return max(self.now, noted + CLOCK_STEP_SECONDS)

    def weights_action(self, percent: float) -> SetWeights:
        """Ask for so much traffic on the new version, the rest on the previous one."""
        weights = {self.plan.version.key: percent}
        if self.previous is not None:
            weights[self.previous.key] = 100.0 - percent
        return SetWeights(
            environment=self.plan.environment, service=self.plan.service, weights=weights
        )
