"""What the documents of a project say about each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import UNSET

from andon.api.alerts_check import check_pages
from andon.api.budgets_check import check_budget_policy, default_objectives
from andon.api.circles import circles
from andon.api.findings import placed, problem_at, problems_of
from andon.api.jobs_check import SOMEBODY
from andon.api.objectives_check import check_objective
from andon.api.pipelines_check import (
    NO_TEMPLATES,
    Templates,
    all_jobs,
    check_pipeline,
    check_template,
    unknown_template,
)
from andon.api.problems import Path, Problem, did_you_mean
from andon.api.templates import template_key
from andon.api.together import Broken, check_together
from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.checks import CheckSpec
from andon.api.v1.definitions import (
    API_VERSION,
    Approvals,
    Definition,
    EnvironmentSpec,
    ObjectiveSpec,
    RolloutStep,
    RouteSpec,
    ServiceSpec,
)
from andon.api.v1.jobs import PIPELINES
from andon.api.v1.pipelines import Job, PipelineSpec, ScheduleEntry, TemplateSpec
from andon.kernel.cron import parse_cron, time_zone, time_zones


def own_templates(definitions: Iterable[Definition]) -> dict[str, TemplateSpec]:
    """Return the Templates among documents, by ``template_key``."""
    return {f"#{d.metadata.name}": d.spec for d in definitions if isinstance(d.spec, TemplateSpec)}


def check_references(
    definitions: Sequence[Definition],
    sources: Mapping[str, bytes] | None = None,
    broken: Broken = frozenset(),
    templates: Templates = NO_TEMPLATES,
) -> tuple[Problem, ...]:
    """Check what documents say about each other.

    Args:
        definitions: All documents that are judged together.
        sources: Content by file name, to say line and column of the field; else the document's line.
        broken: Kind and name of documents that exist but have problems of their own.
        templates: Templates of other files, by ``template_key``.
    """
    names = _Names(definitions, broken, templates)
    found = [
        *check_together(definitions, broken),
        *(problem for d in definitions for problem in _check_one(d, names)),
        *_check_circles(definitions),
    ]
    if sources is None:
        return tuple(found)
    return tuple(placed(found, sources))


class _Names:
    """Names that may be referred to."""

    def __init__(
        self, definitions: Sequence[Definition], broken: Broken, templates: Templates
    ) -> None:
        known = {(d.kind, d.metadata.name) for d in definitions} | broken
        self._by_kind: dict[str, set[str]] = {}
        for kind, name in known:
            self._by_kind.setdefault(kind, set()).add(name)
        self.templates = {**templates, **own_templates(definitions)}
        self.jobs = _known_jobs(definitions, self.templates)

    def of(self, kind: str) -> set[str]:
        return self._by_kind.get(kind, set())


def _known_jobs(
    definitions: Sequence[Definition], templates: Templates
) -> Mapping[str, Job] | None:
    """Return all jobs by name; None where some are not known here."""
    pipelines = [d.spec for d in definitions if isinstance(d.spec, PipelineSpec)]
    if any(template_key(use) not in templates for spec in pipelines for use in spec.templates):
        return None
    jobs = {name: job for spec in pipelines for name, job in all_jobs(spec, templates).items()}
    return jobs or None


def _unknown(
    definition: Definition, path: Path, kind: str, name: str | None, known: Iterable[str]
) -> Iterator[Problem]:
    names = set(known)
    if name is not None and name not in names:
        hint = did_you_mean(name, names, f"known {kind} names")
        yield problem_at(definition, path, f"no {kind} is called `{name}`", hint)


def _check_one(definition: Definition, names: _Names) -> Iterator[Problem]:
    path: Path
    match definition.spec:
        case ServiceSpec():
            yield from _check_service(definition, definition.spec, names)
        case PipelineSpec():
            yield from _check_pipeline(definition, definition.spec, names)
        case TemplateSpec():
            yield from problems_of(definition, check_template(definition.spec))
        case EnvironmentSpec():
            yield from _check_environment(definition, definition.spec, names)
        case ObjectiveSpec(service=service):
            path = ("spec", "service")
            if definition.language == API_VERSION:
                yield from _unknown(definition, path, "Service", service, names.of("Service"))
                yield from problems_of(definition, check_pages(definition.spec))
            yield from problems_of(definition, check_objective(definition.spec))
            for number, environment in enumerate(definition.spec.environments):
                path = ("spec", "environments", number)
                known = names.of("Environment")
                yield from _unknown(definition, path, "Environment", environment, known)
        case BudgetPolicySpec():
            yield from _check_budgets(definition, definition.spec, names)
        case CheckSpec():
            yield from _check_check(definition, definition.spec, names)
        case RouteSpec(service=service, listen=listen):
            path = ("spec", "service")
            yield from _unknown(definition, path, "Service", service, names.of("Service"))
            for environment in listen:
                path = ("spec", "listen", environment)
                known = names.of("Environment")
                yield from _unknown(definition, path, "Environment", environment, known)


def _check_budgets(
    definition: Definition, spec: BudgetPolicySpec, names: _Names
) -> Iterator[Problem]:
    services = names.of("Service")
    defaults = (name for service in services for name in default_objectives(service))
    known = {
        "objectives": ("Objective", {*names.of("Objective"), *defaults}),
        "services": ("Service", services),
        "environments": ("Environment", names.of("Environment")),
    }
    for field, (kind, there) in known.items():
        for number, name in enumerate(getattr(spec, field)):
            yield from _unknown(definition, ("spec", field, number), kind, name, there)
    yield from problems_of(definition, check_budget_policy(spec))


def _check_check(definition: Definition, spec: CheckSpec, names: _Names) -> Iterator[Problem]:
    for field, kind, name in (
        ("service", "Service", spec.service),
        ("environment", "Environment", spec.environment),
    ):
        yield from _unknown(definition, ("spec", field), kind, name, names.of(kind))
    if len(spec.questions) != 1:
        found = " and ".join(f"`{one}`" for one in spec.questions) or "none"
        message = f"expected one of `http`, `steps`, `tcp`, `tls`, `dns`, `browser`; found {found}"
        yield problem_at(definition, ("spec",), message, "write a Check for each question")
    if spec.timeout_seconds * (1 + spec.retries) > spec.every_seconds:
        message = (
            f"{1 + spec.retries} tries of {spec.timeout_seconds:g} s do not fit into "
            f"`everySeconds` ({spec.every_seconds:g})"
        )
        yield problem_at(
            definition, ("spec", "everySeconds"), message, "ask less often, or fewer times"
        )
    own = (spec.service, spec.environment)
    for path, address in _addresses(spec):
        if address.startswith("/") and None in own:
            message = f"`{address}` is a path: of which service, and in which environment?"
            yield problem_at(definition, path, message, "say `service` and `environment`")
        elif not address.startswith(("/", "http://", "https://", "{{")):
            message = f"expected http(s)://… or a path, found `{address}`"
            yield problem_at(definition, path, message)


def _addresses(spec: CheckSpec) -> Iterator[tuple[Path, str]]:
    if spec.http:
        yield ("spec", "http", "url"), spec.http.url
    for number, step in enumerate(spec.steps):
        yield ("spec", "steps", number, "url"), step.url
    for number, move in enumerate(spec.browser.steps if spec.browser else ()):
        if move.go:
            yield ("spec", "browser", "steps", number, "go"), move.go


def _check_pipeline(definition: Definition, spec: PipelineSpec, names: _Names) -> Iterator[Problem]:
    yield from problems_of(definition, check_pipeline(spec, names.templates))
    for number, use in enumerate(spec.templates):
        if use.template not in names.of("Template"):
            path: Path = ("spec", "templates", number)
            yield from problems_of(definition, unknown_template(use, path, names.of("Template")))
    for number, entry in enumerate(spec.schedule):
        yield from _check_entry(definition, ("spec", "schedule", number), entry)


def _check_entry(definition: Definition, path: Path, entry: ScheduleEntry) -> Iterator[Problem]:
    try:
        parse_cron(entry.cron)
    except ValueError as error:
        hint = "such as `30 3 * * mon-fri` or `@daily`"
        yield problem_at(definition, (*path, "cron"), str(error), hint)
    try:
        time_zone(entry.timezone)
    except ValueError as error:
        hint = did_you_mean(entry.timezone, time_zones(), "known time zones")
        yield problem_at(definition, (*path, "timezone"), str(error), hint)


def _check_service(definition: Definition, spec: ServiceSpec, names: _Names) -> Iterator[Problem]:
    services = names.of("Service")
    for number, needed in enumerate(spec.needs):
        path = ("spec", "needs", number)
        yield from _unknown(definition, path, "Service", needed, services)
        if needed == definition.metadata.name:
            yield problem_at(definition, path, f"Service `{needed}` needs itself")
    if spec.artifact.job is not None and names.jobs is not None:
        yield from _check_packed(definition, spec.artifact.job, names.jobs)
    for field, deploy_jobs in (("preDeploy", spec.pre_deploy), ("postDeploy", spec.post_deploy)):
        own = [job.name for job in deploy_jobs]
        for number, job in enumerate(deploy_jobs):
            here: Path = ("spec", field, number)
            if job.name in own[:number]:
                message = f"another job of `{field}` is already called `{job.name}`"
                yield problem_at(definition, (*here, "name"), message)
            for position, needed in enumerate(job.needs):
                yield from _unknown(definition, (*here, "needs", position), "job", needed, own)


def _check_packed(definition: Definition, name: str, jobs: Mapping[str, Job]) -> Iterator[Problem]:
    """Check the job whose work tree becomes an artifact: one, with a work tree, that all wait for."""
    path: Path = ("spec", "artifact", "job")
    yield from _unknown(definition, path, "job", name, jobs)
    job = jobs.get(name)
    if job is None:
        return
    if job.matrix is not None or job.shards > 1:
        message = f"`{name}` becomes several jobs: which of them would be packed?"
        yield problem_at(definition, path, message, "pack the work tree of a job without a matrix")
    elif job.approval is not None or not job.blocking:
        message = f"`{name}` {'runs nothing' if job.approval else 'is not waited for'}"
        yield problem_at(definition, path, message, "pack the work tree of another job")


def _check_environment(
    definition: Definition, spec: EnvironmentSpec, names: _Names
) -> Iterator[Problem]:
    if definition.metadata.name == PIPELINES:
        message = f"no Environment can be called `{PIPELINES}`: that is where builds have secrets"
        yield problem_at(definition, ("metadata", "name"), message, "call it something else")
    environments = names.of("Environment")
    yield from _unknown(definition, ("spec", "base"), "Environment", spec.base, environments)
    yield from _unknown(definition, ("spec", "after"), "Environment", spec.after, environments)
    for service in spec.services:
        path = ("spec", "services", service)
        yield from _unknown(definition, path, "Service", service, names.of("Service"))
    if spec.approvals is not None:
        yield from _check_approvals(definition, spec.approvals)
    if spec.rollout is not UNSET:
        yield from _check_steps(definition, spec.rollout.steps)


def _check_approvals(definition: Definition, rule: Approvals) -> Iterator[Problem]:
    here: Path = ("spec", "approvals")
    for number, named in enumerate(rule.people):
        if not SOMEBODY.match(named):
            message = f"expected `team:<name>` or `person:<name>`, found `{named}`"
            name = named.rpartition(":")[2].strip() or "NAME"
            hint = f"`person:{name}`, or `team:{name}` if it is a team"
            yield problem_at(definition, (*here, "people", number), message, hint)
    named_people = {one for one in rule.people if one.startswith("person:")}
    if rule.people and set(rule.people) == named_people and len(named_people) < rule.count:
        message = (
            f"expected at most {len(named_people)}, as many as may approve; found {rule.count}"
        )
        yield problem_at(definition, (*here, "count"), message, "name more people, or a team")


def _check_steps(definition: Definition, steps: Sequence[RolloutStep]) -> Iterator[Problem]:
    here: Path = ("spec", "rollout", "steps")
    for number, step in enumerate(steps):
        if number and step.weight <= steps[number - 1].weight:
            message = (
                f"expected more than the step before ({steps[number - 1].weight:g}), "
                f"found {step.weight:g}"
            )
            yield problem_at(definition, (*here, number, "weight"), message)
        if step.max_seconds < step.min_seconds:
            message = (
                f"expected at least `minSeconds` ({step.min_seconds:g}), found {step.max_seconds:g}"
            )
            yield problem_at(definition, (*here, number, "maxSeconds"), message)
    if steps[-1].weight != 100:
        message = f"expected the last step at 100, found {steps[-1].weight:g}"
        hint = "add a step: {weight: 100}"
        yield problem_at(definition, (*here, len(steps) - 1, "weight"), message, hint)


def _check_circles(definitions: Sequence[Definition]) -> Iterator[Problem]:
    documents = {d.metadata.name: d for d in definitions if isinstance(d.spec, EnvironmentSpec)}
    specs = {n: d.spec for n, d in documents.items() if isinstance(d.spec, EnvironmentSpec)}
    for field, word in (("base", "are based on"), ("after", "come after")):
        links = {name: _link(specs, name, field) for name in specs}
        for circle in circles(links):
            message = f"environments {word} each other: {_arrows(circle)}"
            yield problem_at(documents[circle[0]], ("spec", field), message)


def _link(specs: Mapping[str, EnvironmentSpec], name: str, field: str) -> tuple[str, ...]:
    """Return the environment named by ``base``, or by ``after`` (which bases may provide)."""
    seen: set[str] = set()
    current: str | None = name
    while current is not None and current in specs and current not in seen:
        seen.add(current)
        value: str | None = getattr(specs[current], field)
        if value is not None or field == "base":
            return (value,) if value is not None else ()
        current = specs[current].base
    return ()


def _arrows(circle: Sequence[str]) -> str:
    return " → ".join((*circle, circle[0]))
