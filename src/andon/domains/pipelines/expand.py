"""A Pipeline, its Templates and the facts of a change become jobs without any expression.

Everything that depends on an expression or a rule is decided here, before the Run begins: what is skipped
names the rule, and so does what needs it. A need of a job that a matrix made several of means all of
its members that are not skipped. Stages order jobs, they ask for nothing: a job waits for those of the
stage before that run at all and that others wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from andon.api.expressions import Wrong
from andon.api.matrix import Values, members, written
from andon.api.pipelines_check import Templates
from andon.api.v1.definitions import Approvals
from andon.api.v1.jobs import (
    PIPELINES,
    BesidePlan,
    CachePlan,
    JobPlan,
    ReportsPlan,
    RetryPlan,
    SecretRef,
    StepPlan,
    TypedStep,
)
from andon.api.v1.pipelines import ChangeFacts, Job, JobService, PipelineSpec, Scalar, Step
from andon.domains.pipelines import rules
from andon.domains.pipelines.conditions import Situation
from andon.domains.pipelines.templates import Written, unfold
from andon.kernel.errors import InvalidDocument

Settings = Mapping[str, Scalar | tuple[Scalar, ...]]
Typed = Callable[[str, Settings], TypedStep]
"""Says what a typed step and its settings come to."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class _Member(Struct, frozen=True):
    """One of the jobs that a job becomes."""

    name: str
    values: Values
    shard: int
    skip: str


def no_typed_steps(name: str, settings: Settings) -> TypedStep:
    """Know no typed step."""
    raise InvalidDocument(f"no typed step is called `{name}`", hint="write it as `run`")


def expand(
    pipeline: PipelineSpec,
    facts: ChangeFacts,
    templates: Templates = _NONE,
    origins: Mapping[str, str] = _NONE,
    typed: Typed = no_typed_steps,
) -> tuple[JobPlan, ...]:
    """Return every job that a change's build has, also those that a rule skips.

    Args:
        pipeline: The Pipeline, which was checked with its Templates.
        facts: What is known of the change.
        templates: By ``template_key``.
        origins: Where jobs are written.
        typed: Says what typed steps come to.

    Raises:
        InvalidDocument: An expression cannot be evaluated for this change.

    >>> from andon.api.v1.pipelines import Matrix
    >>> unit = Job(run="tox", matrix=Matrix(axes={"py": ("3.11", "3.12")}))
    >>> jobs = {"unit": unit, "pack": Job(run="build", needs=("unit",), condition="change.branch == 'main'")}
    >>> [(job.name, job.needs, job.skip) for job in expand(PipelineSpec(jobs=jobs), ChangeFacts())]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('unit-3-11', (), ''), ('unit-3-12', (), ''),
     ('pack', ('unit-3-11', 'unit-3-12'), "if: `change.branch == 'main'` is false")]
    """
    return _Expansion(pipeline, facts, templates, origins, typed).jobs()


class _Expansion:
    def __init__(
        self,
        pipeline: PipelineSpec,
        facts: ChangeFacts,
        templates: Templates,
        origins: Mapping[str, str],
        typed: Typed,
    ) -> None:
        self._pipeline = pipeline
        self._trusted = facts.trusted
        self._typed = typed
        self._written = {one.name: one for one in unfold(pipeline, templates, origins)}
        self._situation = Situation(facts)
        self._rule = rules.by_triggers(pipeline.triggers, facts.branch, self._situation.paths)
        self._members: dict[str, tuple[_Member, ...]] = {}
        self._later: set[str] = set()

    def jobs(self) -> tuple[JobPlan, ...]:
        for name in TopologicalSorter(
            {name: one.job.needs for name, one in self._written.items()}
        ).static_order():
            self._decide(self._written[name])
        ahead = self._stages()
        return tuple(
            plan for one in self._written.values() for plan in self._plans(one, ahead(one.job))
        )

    # --- what is skipped, and what comes later ----------------------------------------------------

    def _decide(self, one: Written) -> None:
        job = one.job
        rule = self._rule or self._situation.touches_none(job.paths)
        rule = rule or self._need_rule(job)
        self._members[one.name] = tuple(
            _Member(name, values, shard, rule or self._condition_rule(one, values, shard))
            for name, values, shard in members(one.name, job)
        )
        if not job.blocking or any(need in self._later for need in job.needs):
            self._later.add(one.name)

    def _need_rule(self, job: Job) -> str:
        """Return the rule by which something it needs was skipped as a whole; clean-up runs anyway."""
        for need in () if job.always else job.needs:
            if all(member.skip for member in self._members[need]):
                return rules.by_need(need, self._members[need][0].skip)
        return ""

    def _condition_rule(self, one: Written, values: Values, shard: int) -> str:
        if one.job.condition is None:
            return ""
        try:
            held = self._situation.holds(one.job.condition, values, one.parameters, shard)
        except Wrong as wrong:
            raise _refusal(one, "if", wrong) from None
        return "" if held else rules.by_condition(one.job.condition)

    def _runs(self, name: str) -> tuple[str, ...]:
        return tuple(member.name for member in self._members[name] if not member.skip)

    # --- stages -----------------------------------------------------------------------------------

    def _stages(self) -> Callable[[Job], tuple[str, ...]]:
        """Return what tells the jobs of earlier stages that a job waits for."""
        needed = {need for one in self._written.values() for need in self._own_stage_needs(one)}
        ends: dict[str, tuple[str, ...]] = {}
        last: tuple[str, ...] = ()
        for stage in self._pipeline.stages:
            ends[stage] = last
            mine = [
                name
                for name, one in self._written.items()
                if one.job.stage == stage and not one.job.always and name not in self._later
            ]
            running = [member for name in mine if name not in needed for member in self._runs(name)]
            last = tuple(running) or tuple(m for name in mine for m in self._runs(name)) or last
        return lambda job: ends.get(job.stage or "", ())

    def _own_stage_needs(self, one: Written) -> Iterable[str]:
        """Yield what a job that others wait for needs in its own stage: to wait for it is enough."""
        stage = one.job.stage
        if stage is None or one.job.always or one.name in self._later or not self._runs(one.name):
            return ()
        return (need for need in one.job.needs if self._written[need].job.stage == stage)

    # --- plans ------------------------------------------------------------------------------------

    def _plans(self, one: Written, ahead: Sequence[str]) -> list[JobPlan]:
        running = (name for need in one.job.needs for name in self._needed(need))
        needs = tuple(dict.fromkeys((*running, *ahead)))
        many = one.job.matrix is not None or one.job.shards > 1
        return [self._plan(one, member, needs, many) for member in self._members[one.name]]

    def _needed(self, name: str) -> tuple[str, ...]:
        """Return the members that a need means; all of them, if all are skipped."""
        return self._runs(name) or tuple(member.name for member in self._members[name])

    def _plan(self, one: Written, member: _Member, needs: tuple[str, ...], many: bool) -> JobPlan:
        job = one.job
        fill = _Filler(self._situation, one, member)
        steps = [self._typed_step(step) for step in job.steps]
        return JobPlan(
            name=member.name,
            run=job.run or "",
            needs=needs,
            env=self._env(one, member, fill),
            timeout_seconds=job.timeout_seconds,
            evidence=job.evidence or one.name,
            network=job.network,
            disk_bytes=job.limits.disk_bytes or 0,
            always=job.always,
            concurrency=job.concurrency or "",
            secrets=self._secrets(job),
            group=one.name if many else "",
            values={name: written(value) for name, value in member.values.items()},
            steps=tuple(
                _step(number, step, typed, fill)
                for number, (step, typed) in enumerate(zip(job.steps, steps, strict=True))
            ),
            approval=_consent(job),
            skip=member.skip,
            fail_fast=job.matrix is not None and job.matrix.fail_fast,
            at_once=job.matrix.at_once if job.matrix is not None else 0,
            shard=member.shard,
            shards=job.shards,
            level=job.level or "",
            blocking=one.name not in self._later,
            resumes=job.resumes,
            retry=RetryPlan(times=job.retry.times, reasons=job.retry.reasons)
            if job.retry
            else None,
            inputs=job.inputs,
            caches=_joined(_caches(job, fill), *(typed.caches for typed in steps)),
            artifacts=job.artifacts.paths if job.artifacts else (),
            keep_artifacts_seconds=(job.artifacts.keep_days if job.artifacts else 14) * 86400.0,
            reports=_reports(job),
            services=tuple(_beside(name, spec, fill) for name, spec in job.services.items()),
            image=fill(job.image or "", "image"),
            runs_on=job.runs_on,
            origin=one.origin,
        )

    def _env(self, one: Written, member: _Member, fill: _Filler) -> dict[str, str]:
        """Join variables: the Pipeline's, the job's, then what the matrix and the Template chose."""
        return {
            **fill.all(self._pipeline.env, "env of the Pipeline"),
            **fill.all(one.job.env, "env"),
            **_variables("PARAM", one.parameters),
            **_variables("MATRIX", member.values),
        }

    def _secrets(self, job: Job) -> dict[str, SecretRef]:
        """Return the secrets a job names; strangers' changes get none."""
        if not self._trusted:
            return {}
        return {
            variable: SecretRef(name=secret, environment=PIPELINES)
            for variable, secret in job.secrets.items()
        }

    def _typed_step(self, step: Step) -> TypedStep:
        if step.run is not None:
            return TypedStep(run=step.run)
        return self._typed(step.uses or "", step.settings)


def _step(number: int, step: Step, typed: TypedStep, fill: _Filler) -> StepPlan:
    name = step.name or step.uses or f"step {number + 1}"
    env = {**typed.env, **fill.all(step.env, f"steps[{number}].env")}
    return StepPlan(name=name, run=typed.run, env=env)


def _joined(*caches: Iterable[CachePlan]) -> tuple[CachePlan, ...]:
    """Join caches; of two with one name the first counts: it is the job's own."""
    found: dict[str, CachePlan] = {}
    for cache in (one for several in caches for one in several):
        found.setdefault(cache.name, cache)
    return tuple(found.values())


class _Filler:
    """Fills texts of one member of a job."""

    def __init__(self, situation: Situation, one: Written, member: _Member) -> None:
        self._situation, self._one, self._member = situation, one, member

    def __call__(self, text: str, field: str) -> str:
        member = self._member
        try:
            return self._situation.filled(text, member.values, self._one.parameters, member.shard)
        except Wrong as wrong:
            raise _refusal(self._one, field, wrong) from None

    def all(self, texts: Mapping[str, str], field: str) -> dict[str, str]:
        return {name: self(text, f"{field}.{name}") for name, text in texts.items()}


def _refusal(one: Written, field: str, wrong: Wrong) -> InvalidDocument:
    place = f"{one.origin}: " if one.origin else ""
    return InvalidDocument(f"{place}job {one.name}: {field}: {wrong.message}", hint=wrong.hint)


def _variables(prefix: str, values: Values) -> dict[str, str]:
    return {f"{prefix}_{name.upper()}": written(value) for name, value in values.items()}


def _consent(job: Job) -> Approvals | None:
    return Approvals(count=job.approval.count, people=job.approval.people) if job.approval else None


def _caches(job: Job, fill: _Filler) -> tuple[CachePlan, ...]:
    return tuple(
        CachePlan(
            name=cache.name,
            paths=cache.paths,
            key=cache.key,
            also=tuple(fill(text, f"caches.{cache.name}.also") for text in cache.also),
            nearest=cache.nearest,
        )
        for cache in job.caches
    )


def _reports(job: Job) -> ReportsPlan:
    said = job.reports
    return ReportsPlan(junit=said.junit, coverage=said.coverage, benchmark=said.benchmark)


def _beside(name: str, service: JobService, fill: _Filler) -> BesidePlan:
    ready = service.ready
    return BesidePlan(
        name=name,
        run=service.run or "",
        image=service.image or "",
        port=service.port or 0,
        env=fill.all(service.env, f"services.{name}.env"),
        ready_path=ready.path or "",
        ready_command=ready.command or "",
        ready_within_seconds=ready.within_seconds,
    )
