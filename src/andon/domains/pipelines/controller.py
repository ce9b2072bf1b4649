"""Carries out a build Run: jobs in the order of their needs, then one artifact per service.

A job that fails by its own fault fails the Run; what needed it is *not-run*, never green. A job the
machine interrupted is run again, a few times, if it may be. When a person cancels the Run, or a newer
one of its group does, the jobs under way are ended and nothing more begins. Clean-up jobs run in any
case, before the Run ends.
"""

from __future__ import annotations

from andon.api.v1.actions import ArtifactPacked, PackArtifact
from andon.api.v1.control import Decision, Event, NewObject, Selector, View
from andon.api.v1.jobs import PackPlan
from andon.api.v1.records import TERMINAL, ArtifactSpec, Empty, Object, Phase, StepRow, Subject
from andon.domains.line import cancellation, events
from andon.domains.line.turn import TRYING_AGAIN, describe_failure
from andon.domains.pipelines import consent, flake_budget, groups, later, results
from andon.domains.pipelines.claims import WELL, find, pass_on
from andon.domains.pipelines.jobs import Jobs
from andon.domains.pipelines.plan import LETS_ON, pack_step
from andon.domains.pipelines.retrying import MACHINE_ATTEMPTS
from andon.kernel.digest import short
from andon.kernel.ids import idempotency_key

QUEUED = "Queued"
"""Reason in the status of a Run that waits for another of its group."""
POLL_SECONDS = 30.0
"""A slow look at what should have woken the Run anyway."""


class BuildController:
    """Reconciles Runs of the type ``build``."""

    kind = "Run:build"

    def select(self, obj: Object) -> dict[str, Selector]:
        """See who wants to end it, who must go first, who consents, and what is known already."""
        return {
            "cancellation": cancellation.selector(obj),
            **groups.selectors(obj),
            **consent.selectors(obj),
            **later.selectors(obj),
            **results.selectors(obj),
            **flake_budget.selectors(obj),
        }

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Wake a Run that is to be cancelled, whose turn may have come, or to which people consent."""
        return (*cancellation.wakes(changed), *groups.wakes(changed), *consent.wakes(changed))

    def reconcile(self, view: View, now: float) -> Decision:
        """Advance the Run as far as its facts allow."""
        if view.object.status.phase in TERMINAL:
            return Decision(consumed=tuple(row.key for row in view.actions if row.outcome))
        return _Build(view, now).advance()


class _Build(Jobs):
    def advance(self) -> Decision:
        if not self.status.started_at:
            if self.ending:
                self._finish_ended(self.ending)
                return self.decision()
            if self._is_queued():
                return self.decision()
            self._start()
        self.advance_jobs()
        if self._all_ended_well():
            for pack in self.plan.packs:
                self._advance_pack(pack)
        self._finish_if_done()
        return self.decision()

    def _is_queued(self) -> bool:
        first = groups.ahead(self.view)
        if first is None:
            return False
        group = self.plan.concurrency
        message = f"waits for {first.name}, one at a time in group {group}"
        if self.status.reason != QUEUED:
            self.events.append(self._queued_behind(first, group))
        self.set(phase="Waiting", reason=QUEUED, message=message)
        self.wake_at(self.now + POLL_SECONDS)
        return True

    def _queued_behind(self, first: Object, group: str) -> Event:
        return events.extension(
            "turn",
            "awaited",
            id=f"run/{self.run}/awaited",
            stream=self.stream,
            about=self.run,
            chain=self.spec.change,
            content={"group": group, "behind": first.name},
        )

    def _start(self) -> None:
        self.set(phase="Running", reason="", message="", started_at=self.now)
        names = [job.name for job in self.layout.jobs]
        names += [pack_step(pack) for pack in self.plan.packs]
        self.plan_steps(tuple(names))
        cause = events.merged_id(self.spec.change)
        if self.plan.later_for:
            cause = f"run/{self.plan.later_for}/finished"
        elif self.spec.schedule:
            cause = f"run/{self.run}/queued"
        self.events.append(events.run_started(self.run, self.stream, self.spec.change, cause))
        if flaky := flake_budget.earlier(self.view):
            self.memory["flakes"] = flaky
        self.skip_by_rule()
        self.reuse_results()

    def _all_ended_well(self) -> bool:
        # Counted first: a Run may have thousands of steps, and a turn for each.
        rows, jobs = self.rows(), self.layout.jobs
        if rows.count(*WELL) < len(jobs) or not self._something_passed():
            return False
        return all(rows.state(job.name) in WELL for job in jobs)

    def _something_passed(self) -> bool:
        """Say whether anything was done at all, besides cleaning up."""
        ordinary = self.layout.ordinary
        if not ordinary:
            return bool(self.plan.packs)
        return any(self.rows().state(name) in LETS_ON for name in ordinary)

    # --- artifacts -------------------------------------------------------------------------------

    def _key(self, step: str) -> str:
        run = self.view.object
        return idempotency_key(run.uid, run.generation, step, self.attempt(step))

    def _advance_pack(self, pack: PackPlan) -> None:
        step = pack_step(pack)
        if self.ended(step):
            return
        if pack.job in self.layout.by_name and self.state(pack.job) == "skipped-by-rule":
            rule = self.rows()[pack.job].message
            self.end(step, "skipped-by-rule", f"needs {pack.job}, which was skipped: {rule}")
            return
        self.begin(step)
        outcome = self.do(
            step,
            PackArtifact(
                service=pack.service,
                repository=self.plan.repository,
                sha=self.plan.sha,
                path=pack.path,
                job_key=self._key(pack.job) if pack.job else "",
            ),
        )
        if isinstance(outcome, ArtifactPacked):
            self._take_artifact(pack, outcome)
        elif outcome is not None:
            message, fault, _ = describe_failure(outcome)
            if fault == "machine" and not self.ending and self.retry(step, MACHINE_ATTEMPTS):
                self.say(step, f"{TRYING_AGAIN}: {message}")
            else:
                self.end(step, "failed" if fault == "change" else "interrupted", message, fault)

    def _take_artifact(self, pack: PackPlan, packed: ArtifactPacked) -> None:
        self.end(pack_step(pack), "passed", short(packed.digest))
        if not self.spec.schedule:
            self._keep_artifact(pack, packed)
        self._claim_all([Subject(service=pack.service, digest=packed.digest)])

    def _claim_all(self, about: list[Subject]) -> None:
        """Say of artifacts what the jobs that ended well found."""
        rows = self.rows()
        jobs = [(job, rows[job.name]) for job in self.layout.jobs]
        failed = {job.evidence for job, row in jobs if row.state not in WELL}
        for check, finding in find(jobs).items():
            source = f"run:{self.run}/{finding.source}"
            if check not in failed:
                self.create += [
                    pass_on(self.run, one, check, finding, source, self.now) for one in about
                ]

    def _keep_artifact(self, pack: PackPlan, packed: ArtifactPacked) -> None:
        """Make the Change's artifact; what a schedule built again is never promoted."""
        change = self.spec.change
        self.create.append(
            NewObject(
                kind="Artifact",
                name=f"{pack.service}-{short(packed.digest)}-{change}",
                spec=ArtifactSpec(
                    digest=packed.digest,
                    service=pack.service,
                    change=change,
                    size_bytes=packed.size_bytes,
                    files=packed.files,
                    purl=packed.purl,
                ),
                status=Empty(),
                labels={
                    "change": change,
                    "service": pack.service,
                    "digest": packed.digest,
                },
            )
        )
        self.events.append(
            events.artifact_packaged(
                change, pack.service, packed.digest, self.plan.repository, self.run
            )
        )

    # --- the end ---------------------------------------------------------------------------------

    def _finish_if_done(self) -> None:
        if self.rows().count("running"):
            return
        if self.rows().count("waiting") and not self._nothing_passed():
            return
        broken = self.broken()
        if self.plan.later_for:
            self._claim_all(list(self.about))
        if self.ending:
            said = f"; {broken.name}: {broken.message}" if broken else ""
            self._finish_ended(self.ending + said)
        elif broken is not None:
            self._finish(
                "Failed",
                "JobFailed" if broken.fault == "change" else "MachineFault",
                f"{broken.name}: {broken.message}",
                "failure" if broken.fault == "change" else "error",
            )
        elif not self._something_passed():
            self._finish_skipped()
        else:
            self._finish("Succeeded", "Built", self._told_of_flakes(), "success")
            if self.layout.later:
                self.create.append(later.plan_later(self.view.object, self.layout, self.rows()))

    def _told_of_flakes(self) -> str:
        before: list[int] = self.memory.get("flakes", [])
        made, said = flake_budget.told(self.view.object, self.rows().values(), before, self.now)
        self.create += [made] if made is not None else []
        return said

    def _nothing_passed(self) -> bool:
        """Say whether all jobs have ended and none has passed, so that there is nothing to pack."""
        waiting = self.rows().open("waiting")
        jobs_wait = any(row.name in self.layout.by_name for row in waiting)
        return not jobs_wait and not self._something_passed()

    def _finish_skipped(self) -> None:
        """End neither green nor red: rules left nothing to do."""
        skipped: StepRow | None = next(iter(self.rows().values()), None)
        rule = f"every job was skipped: {skipped.message}" if skipped else "there is nothing to do"
        self.close_open_steps("not-run", rule)
        self._finish("Cancelled", "SkippedByRule", rule, "cancel")

    def _finish_ended(self, message: str) -> None:
        self.forget(*(row.step for row in self.view.actions))
        if self.wish is None:
            self._finish("Cancelled", groups.REASON, message, "cancel")
            return
        self.set(
            phase="Cancelled",
            reason=cancellation.REASON,
            message=message,
            finished_at=self.now,
        )
        self.events.append(cancellation.cancelled(self.view.object, self.stream, message))

    def _finish(self, phase: Phase, reason: str, message: str, outcome: str) -> None:
        self.set(phase=phase, reason=reason, message=message, finished_at=self.now)
        self.events.append(
            events.run_finished(self.run, self.stream, self.spec.change, outcome, message)
        )
