"""The jobs of a build Run: which may begin, what their outcomes mean, and who is ended for whom."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from andon.api.v1.actions import RunJob
from andon.api.v1.control import View
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import StepRow, StepState
from andon.domains.line import cancellation
from andon.domains.pipelines import consent, groups
from andon.domains.pipelines.plan import may_begin, pack_step
from andon.domains.pipelines.results import known_result
from andon.domains.pipelines.taking import Taking

AT_ONCE = 64
"""So many jobs of one Run are under way."""
FAILED = ("failed", "interrupted")


class Jobs(Taking):
    """A turn of a build Run, as far as its jobs go.

    Args:
        view: What is known.
        now: Seconds since the Unix epoch.
    """

    def __init__(self, view: View, now: float) -> None:
        super().__init__(view, now)
        self._in_group: Counter[str] = Counter()

    def advance_jobs(self) -> None:
        """Take outcomes, end what is to be ended and begin what may begin."""
        if self.ending:
            self._wind_down()
        look_at_all = bool(self.ending) or len(self.rows().open("running")) >= AT_ONCE
        for row in list(self.rows().open("running")):
            if row.name in self.layout.by_name:
                self._advance_job(self.layout.by_name[row.name])
        closed = False
        if not self.ending:
            closed = self._close_what_will_not_run()
            self._ask_people()
        self._in_group = self._count_groups()
        if not look_at_all:
            self._start_jobs(self._freed_jobs())
        if look_at_all or closed or self._is_still():
            self._start_jobs(self._waiting_jobs())
        self._tell_whether_people_are_missing()

    def state(self, name: str) -> StepState:
        """Return the state of a job, also of one that the Run before this one ran."""
        return "passed" if name in self.plan.given else self.rows().state(name)

    def broken(self) -> StepRow | None:
        """Return the first step that did not pass, by its own fault or the machine's."""
        return next(self.rows().among(*FAILED), None)

    # --- without running -------------------------------------------------------------------------

    def skip_by_rule(self) -> None:
        """End what a rule skips; the rule is named, and it is no pass."""
        for job in self.layout.jobs:
            if job.skip:
                self.end_job(job, "skipped-by-rule", job.skip, figures={"skipped": job.skip})

    def reuse_results(self) -> None:
        """End what passed before, with everything it depends on as it is now."""
        for job in self.layout.keyed:
            known = known_result(job, self.plan, self.view, self.now)
            if known is None:
                continue
            source = f"{known.run}/{known.job}"
            said = f"reused: {source} passed with the same inputs"
            figures = {"reused": source, "looked_at": known.at}
            self.end_job(job, "passed", said, artifact=known.artifact, figures=figures)

    def _ask_people(self) -> None:
        for job in self.layout.consents:
            if self.state(job.name) == "waiting" and self._may_begin(job):
                self._ask_for(job)

    def _ask_for(self, job: JobPlan) -> None:
        run, approvals = self.view.object, self.view.related.get("approvals", ())
        lack = consent.lack(run, job, approvals)
        if not lack:
            by = consent.names(consent.given(run, job, approvals))
            names = ", ".join(one.partition(":")[2] for one in by)
            self.end_job(job, "passed", f"approved by {names}", figures={"by": by})
            return
        row = self.rows()[job.name]
        if not row.started_at:
            self.events.append(consent.requested(run, job, self.stream))
        if row.message != lack:
            self.put(replace(row, message=lack, started_at=row.started_at or self.now))

    def _tell_whether_people_are_missing(self) -> None:
        """Have the Run wait while nothing but people's consent keeps it from going on."""
        if self.ending or self.status.phase not in {"Running", "Waiting"}:
            return
        asked = [job for job in self.layout.consents if self._is_asked_for(job)]
        if asked and not self.rows().open("running"):
            said = "; ".join(f"{job.name}: {self.rows()[job.name].message}" for job in asked)
            self.set(phase="Waiting", reason=consent.REASON, message=said)
        elif self.status.reason == consent.REASON:
            self.set(phase="Running", reason="", message="")

    def _is_asked_for(self, job: JobPlan) -> bool:
        row = self.rows()[job.name]
        return row.state == "waiting" and bool(row.started_at)

    # --- ending others ---------------------------------------------------------------------------

    def _wind_down(self) -> None:
        """Begin nothing more but clean-up, and end what can be ended."""
        reason = cancellation.REASON if self.wish is not None else groups.REASON
        self.set(phase="Running", reason=reason, message=self.ending)
        never = self.end_jobs(spare=self.layout.clean_up)
        under_way = {name for name in self.rows() if self.known(name)} - never
        self.close_open_steps(
            "cancelled", self.ending, waiting="cancelled", spare=under_way | self.layout.clean_up
        )

    def _close_what_will_not_run(self) -> bool:
        """Close what needs a job that did not pass; all else goes on. Say whether anything was."""
        failed = list(self.rows().names(*FAILED))
        if not failed:
            return False
        ended = self._ended_groups(failed)
        self._end_running(ended)
        doomed = self._doomed(failed[0], ended)
        for name, broken in doomed.items():
            self._close(name, ended, broken)
        return bool(doomed)

    def _doomed(self, first: str, ended: Mapping[str, str]) -> dict[str, str]:
        """Return what waits in vain, with the step that is to blame.

        What needs a job that did not pass, what a lost Run would only pack or ask people for, what is
        of a matrix that was ended; and what needs one of those.
        """
        lost = self.rows().names(*FAILED, "cancelled")
        reached = deque(
            (job.name, name) for name in lost for job in self.layout.needed_by.get(name, ())
        )
        reached += ((name, first) for name in self._pointless(ended))
        doomed: dict[str, str] = {}
        while reached:
            name, broken = reached.popleft()
            if name not in doomed and self._waits_to_do_work(name):
                doomed[name] = broken
                reached += ((job.name, broken) for job in self.layout.needed_by.get(name, ()))
        return doomed

    def _pointless(self, ended: Iterable[str]) -> Iterator[str]:
        yield from (pack_step(pack) for pack in self.plan.packs)
        yield from (job.name for job in self.layout.consents)
        for group in ended:
            yield from self.layout.members[group]

    def _waits_to_do_work(self, name: str) -> bool:
        return self.state(name) == "waiting" and name not in self.layout.clean_up

    def _close(self, name: str, ended: Mapping[str, str], broken: str) -> None:
        job = self.layout.by_name.get(name)
        if job is not None and job.group in ended:
            self.end_job(job, "cancelled", ended[job.group])
        else:
            self.put(replace(self.rows()[name], state="not-run", message=f"{broken} did not pass"))

    def _ended_groups(self, failed: Iterable[str]) -> dict[str, str]:
        """Return why the jobs of a group are ended, by group: one of them failed."""
        jobs = self.layout.by_name
        return {
            jobs[name].group: f"{name} did not pass, and the others of its matrix are ended"
            for name in failed
            if name in jobs and jobs[name].group and jobs[name].fail_fast
        }

    def _end_running(self, ended: dict[str, str]) -> None:
        jobs = [self.layout.by_name.get(row.name) for row in self.rows().open("running")]
        others = {job.name: job for job in jobs if job and job.group in ended and not job.always}
        if not others:
            return
        self.memory["ended_for"] = {name: ended[job.group] for name, job in others.items()}
        never = self.end_jobs(only=others)
        for name, job in others.items():
            if name in never or not self.known(name):
                self.end_job(job, "cancelled", ended[job.group])

    # --- beginning -------------------------------------------------------------------------------

    def _is_still(self) -> bool:
        """Say whether no ordinary job runs: then all that wait are looked at, whatever happened."""
        running = self.rows().open("running")
        return all(row.name in self.layout.clean_up for row in running)

    def _waiting_jobs(self) -> Iterator[JobPlan]:
        """Look at those that wait, one by one, as far as anybody wants to know."""
        jobs = self.layout.by_name
        return (jobs[row.name] for row in tuple(self.rows().open("waiting")) if row.name in jobs)

    def _freed_jobs(self) -> list[JobPlan]:
        """Jobs that waited for one that ended in this turn, in order."""
        names = dict.fromkeys(name for ended in self.just_ended for name in self._waited_for(ended))
        return sorted(
            (self.layout.by_name[name] for name in names),
            key=lambda job: self.rows()[job.name].position,
        )

    def _waited_for(self, name: str) -> Iterator[str]:
        job = self.layout.by_name[name]
        yield from (one.name for one in self.layout.needed_by[name])
        if job.at_once:
            yield from self.layout.members.get(job.group, ())

    def _start_jobs(self, among: Iterable[JobPlan]) -> None:
        for job in among:
            if len(self.rows().open("running")) >= AT_ONCE:
                return
            if self.state(job.name) == "waiting" and not job.approval and self._may_begin(job):
                self.begin(job.name)
                self._in_group[job.group] += 1
                self._advance_job(job)

    def _may_begin(self, job: JobPlan) -> bool:
        if job.at_once and self._in_group[job.group] >= job.at_once:
            return False
        return may_begin(job, self.layout.ordinary, self.state)

    def _count_groups(self) -> Counter[str]:
        jobs = self.layout.by_name
        running = (row.name for row in self.rows().open("running"))
        return Counter(jobs[name].group for name in running if name in jobs)

    def _advance_job(self, job: JobPlan) -> None:
        if self.rows()[job.name].state != "running" or self.under_way(job.name):
            return
        outcome = self.do(job.name, self._job_action(job))
        if outcome is not None:
            self.take_outcome(job, outcome)

    def _job_action(self, job: JobPlan) -> RunJob:
        trusted = self.plan.trusted
        left = (self.plan.given.get(need) or self._artifact(need) for need in job.needs)
        return RunJob(
            run=self.run,
            repository=self.plan.repository,
            sha=self.plan.sha,
            job=job if trusted or not job.secrets else replace(job, secrets={}),
            takes=tuple(dict.fromkeys(filter(None, left))),
            trusted=trusted,
        )

    def _artifact(self, name: str) -> str:
        row = self.rows().get(name)
        return row.artifact if row is not None else ""
