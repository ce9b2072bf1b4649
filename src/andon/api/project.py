"""A project's documents together: do they refer to each other rightly, and which is which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, structs

from andon.api.budgets_check import check_budget_policy, default_objectives
from andon.api.circles import circles
from andon.api.jobs_check import SOMEBODY
from andon.api.objectives_check import check_objective
from andon.api.parse import Parsed, document_positions, duplicates, read_documents
from andon.api.pipelines_check import (
    NO_TEMPLATES,
    Templates,
    all_jobs,
    check_pipeline,
    check_template,
    unknown_template,
)
from andon.api.positions import Place
from andon.api.problems import Path, Problem, did_you_mean, field_name, invalid
from andon.api.templates import Finding, template_key
from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.checks import CheckSpec
from andon.api.v1.definitions import (
    API_VERSION,
    RULE_KINDS,
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
from andon.api.variables import clashes
from andon.kernel.cron import parse_cron, time_zone, time_zones

Broken = frozenset[tuple[str, str]]

if TYPE_CHECKING:
    from andon.api.openslo.documents import Document


class Definitions(Struct, frozen=True, kw_only=True):
    """Specs by kind and name; Objectives and Routes by their service."""

    services: dict[str, ServiceSpec]
    pipeline_name: str
    pipeline: PipelineSpec
    environments: dict[str, EnvironmentSpec]
    objectives: dict[str, ObjectiveSpec]
    """What the judge of rollouts goes by, by service."""
    routes: dict[str, RouteSpec]
    templates: dict[str, TemplateSpec] = {}
    """Templates of the project, by ``template_key``."""
    rules: tuple[Definition, ...] = ()
    """Documents that what watches running systems goes by."""


def group(definitions: Iterable[Definition]) -> Definitions:
    """Sort checked definitions by kind.

    Raises:
        InvalidDocument: There is not exactly one Pipeline.
    """
    documents = tuple(definitions)
    pipelines = {d.metadata.name: d.spec for d in documents if isinstance(d.spec, PipelineSpec)}
    if len(pipelines) != 1:
        raise invalid(tuple(_check_pipeline_count(documents, frozenset())))
    ((pipeline_name, pipeline),) = pipelines.items()
    return Definitions(
        services={d.metadata.name: d.spec for d in documents if isinstance(d.spec, ServiceSpec)},
        pipeline_name=pipeline_name,
        pipeline=pipeline,
        environments={
            d.metadata.name: d.spec for d in documents if isinstance(d.spec, EnvironmentSpec)
        },
        objectives={
            d.spec.service: d.spec
            for d in documents
            if isinstance(d.spec, ObjectiveSpec) and judges(d.spec)
        },
        routes={d.spec.service: d.spec for d in documents if isinstance(d.spec, RouteSpec)},
        templates=own_templates(documents),
        rules=tuple(d for d in documents if d.kind in RULE_KINDS),
    )


def judges(spec: ObjectiveSpec) -> bool:
    """Say whether a rollout is judged by an Objective: it says how many requests may fail or be slow."""
    return spec.availability is not None or spec.latency is not None


def own_templates(definitions: Iterable[Definition]) -> dict[str, TemplateSpec]:
    """Return the Templates among documents, by ``template_key``."""
    return {f"#{d.metadata.name}": d.spec for d in definitions if isinstance(d.spec, TemplateSpec)}


def check_project(files: Mapping[str, bytes], templates: Templates = NO_TEMPLATES) -> Parsed:
    """Read a project's files and check the references between their documents.

    Args:
        files: Content by file name.
        templates: Templates of other files, by ``template_key``.
    """
    read = [read_documents(data, file) for file, data in files.items()]
    openslo = _understood([document for part in read for document in part.openslo])
    definitions = (*(d for part in read for d in part.definitions), *openslo.definitions)
    broken: Broken = frozenset().union(*(part.broken for part in read))
    complete = all(part.complete for part in read)
    own = [problem for part in read for problem in part.problems]
    own += _placed(openslo.problems, files)
    between = check_references(definitions, files, broken, templates) if complete else ()
    return Parsed(
        definitions=definitions,
        problems=(*own, *between),
        broken=broken,
        complete=complete,
        openslo=tuple(document for part in read for document in part.openslo),
        warnings=(
            *(problem for part in read for problem in part.warnings),
            *_placed(openslo.warnings, files),
        ),
    )


def _understood(documents: list[Document]) -> Parsed:
    """Say OpenSLO documents in our words."""
    if not documents:
        return Parsed()
    from andon.api.openslo.translate import translate

    told = translate(documents)
    return Parsed(definitions=told.definitions, problems=told.problems, warnings=told.warnings)


def read_project(files: Mapping[str, bytes]) -> Definitions:
    """Read and check a project's files.

    Raises:
        InvalidDocument: Something is wrong; the message lists everything.
    """
    parsed = check_project(files)
    if parsed.problems:
        raise invalid(parsed.problems)
    return group(parsed.definitions)


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
        *duplicates(definitions),
        *_check_pipeline_count(definitions, broken),
        *_check_one_each(definitions),
        *_check_ports(definitions),
        *(_problem(*clash) for clash in clashes(definitions)),
        *(problem for d in definitions for problem in _check_one(d, names)),
        *_check_circles(definitions),
    ]
    if sources is None:
        return tuple(found)
    return tuple(_placed(found, sources))


def told(
    definition: Definition, findings: Iterable[Finding], sources: Mapping[str, bytes]
) -> tuple[Problem, ...]:
    """Say where in the files what was found in a document stands."""
    return tuple(_placed(_told(definition, findings), sources))


def _placed(problems: Iterable[Problem], sources: Mapping[str, bytes]) -> Iterator[Problem]:
    """Point each problem at its field instead of its document."""
    known: dict[tuple[str, int], dict[str, Place]] = {}
    for problem in problems:
        document = (problem.file, problem.line)
        if document not in known:
            known[document] = document_positions(sources.get(problem.file, b""), problem.line)
        place = known[document].get(problem.field)
        yield structs.replace(problem, line=place.line, column=place.column) if place else problem


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


def _problem(definition: Definition, path: Path, message: str, hint: str = "") -> Problem:
    return Problem(
        file=definition.file,
        line=definition.line,
        column=1 if definition.line else 0,
        field=field_name(path),
        message=message,
        hint=hint,
    )


def _unknown(
    definition: Definition, path: Path, kind: str, name: str | None, known: Iterable[str]
) -> Iterator[Problem]:
    names = set(known)
    if name is not None and name not in names:
        hint = did_you_mean(name, names, f"known {kind} names")
        yield _problem(definition, path, f"no {kind} is called `{name}`", hint)


def _check_one(definition: Definition, names: _Names) -> Iterator[Problem]:
    path: Path
    match definition.spec:
        case ServiceSpec():
            yield from _check_service(definition, definition.spec, names)
        case PipelineSpec():
            yield from _check_pipeline(definition, definition.spec, names)
        case TemplateSpec():
            yield from _told(definition, check_template(definition.spec))
        case EnvironmentSpec():
            yield from _check_environment(definition, definition.spec, names)
        case ObjectiveSpec(service=service):
            path = ("spec", "service")
            if definition.language == API_VERSION:
                yield from _unknown(definition, path, "Service", service, names.of("Service"))
            yield from _told(definition, check_objective(definition.spec))
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
    yield from _told(definition, check_budget_policy(spec))


def _check_check(definition: Definition, spec: CheckSpec, names: _Names) -> Iterator[Problem]:
    for field, kind, name in (
        ("service", "Service", spec.service),
        ("environment", "Environment", spec.environment),
    ):
        yield from _unknown(definition, ("spec", field), kind, name, names.of(kind))
    if len(spec.questions) != 1:
        found = " and ".join(f"`{one}`" for one in spec.questions) or "none"
        message = f"expected one of `http`, `steps`, `tcp`, `tls`, `dns`, `browser`; found {found}"
        yield _problem(definition, ("spec",), message, "write a Check for each question")
    if spec.timeout_seconds * (1 + spec.retries) > spec.every_seconds:
        message = (
            f"{1 + spec.retries} tries of {spec.timeout_seconds:g} s do not fit into "
            f"`everySeconds` ({spec.every_seconds:g})"
        )
        yield _problem(
            definition, ("spec", "everySeconds"), message, "ask less often, or fewer times"
        )
    own = (spec.service, spec.environment)
    for path, address in _addresses(spec):
        if address.startswith("/") and None in own:
            message = f"`{address}` is a path: of which service, and in which environment?"
            yield _problem(definition, path, message, "say `service` and `environment`")
        elif not address.startswith(("/", "http://", "https://", "{{")):
            message = f"expected http(s)://… or a path, found `{address}`"
            yield _problem(definition, path, message)


def _addresses(spec: CheckSpec) -> Iterator[tuple[Path, str]]:
    if spec.http:
        yield ("spec", "http", "url"), spec.http.url
    for number, step in enumerate(spec.steps):
        yield ("spec", "steps", number, "url"), step.url
    for number, move in enumerate(spec.browser.steps if spec.browser else ()):
        if move.go:
            yield ("spec", "browser", "steps", number, "go"), move.go


def _check_pipeline(definition: Definition, spec: PipelineSpec, names: _Names) -> Iterator[Problem]:
    yield from _told(definition, check_pipeline(spec, names.templates))
    for number, use in enumerate(spec.templates):
        if use.template not in names.of("Template"):
            path: Path = ("spec", "templates", number)
            yield from _told(definition, unknown_template(use, path, names.of("Template")))
    for number, entry in enumerate(spec.schedule):
        yield from _check_entry(definition, ("spec", "schedule", number), entry)


def _told(definition: Definition, findings: Iterable[Finding]) -> Iterator[Problem]:
    return (_problem(definition, *finding) for finding in findings)


def _check_entry(definition: Definition, path: Path, entry: ScheduleEntry) -> Iterator[Problem]:
    try:
        parse_cron(entry.cron)
    except ValueError as error:
        hint = "such as `30 3 * * mon-fri` or `@daily`"
        yield _problem(definition, (*path, "cron"), str(error), hint)
    try:
        time_zone(entry.timezone)
    except ValueError as error:
        hint = did_you_mean(entry.timezone, time_zones(), "known time zones")
        yield _problem(definition, (*path, "timezone"), str(error), hint)


def _check_service(definition: Definition, spec: ServiceSpec, names: _Names) -> Iterator[Problem]:
    services = names.of("Service")
    for number, needed in enumerate(spec.needs):
        path = ("spec", "needs", number)
        yield from _unknown(definition, path, "Service", needed, services)
        if needed == definition.metadata.name:
            yield _problem(definition, path, f"Service `{needed}` needs itself")
    if spec.artifact.job is not None and names.jobs is not None:
        yield from _check_packed(definition, spec.artifact.job, names.jobs)
    for field, deploy_jobs in (("preDeploy", spec.pre_deploy), ("postDeploy", spec.post_deploy)):
        own = [job.name for job in deploy_jobs]
        for number, job in enumerate(deploy_jobs):
            here: Path = ("spec", field, number)
            if job.name in own[:number]:
                message = f"another job of `{field}` is already called `{job.name}`"
                yield _problem(definition, (*here, "name"), message)
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
        yield _problem(definition, path, message, "pack the work tree of a job without a matrix")
    elif job.approval is not None or not job.blocking:
        message = f"`{name}` {'runs nothing' if job.approval else 'is not waited for'}"
        yield _problem(definition, path, message, "pack the work tree of another job")


def _check_environment(
    definition: Definition, spec: EnvironmentSpec, names: _Names
) -> Iterator[Problem]:
    if definition.metadata.name == PIPELINES:
        message = f"no Environment can be called `{PIPELINES}`: that is where builds have secrets"
        yield _problem(definition, ("metadata", "name"), message, "call it something else")
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
            yield _problem(definition, (*here, "people", number), message, hint)
    named_people = {one for one in rule.people if one.startswith("person:")}
    if rule.people and set(rule.people) == named_people and len(named_people) < rule.count:
        message = (
            f"expected at most {len(named_people)}, as many as may approve; found {rule.count}"
        )
        yield _problem(definition, (*here, "count"), message, "name more people, or a team")


def _check_steps(definition: Definition, steps: Sequence[RolloutStep]) -> Iterator[Problem]:
    here: Path = ("spec", "rollout", "steps")
    for number, step in enumerate(steps):
        if number and step.weight <= steps[number - 1].weight:
            message = (
                f"expected more than the step before ({steps[number - 1].weight:g}), "
                f"found {step.weight:g}"
            )
            yield _problem(definition, (*here, number, "weight"), message)
        if step.max_seconds < step.min_seconds:
            message = (
                f"expected at least `minSeconds` ({step.min_seconds:g}), found {step.max_seconds:g}"
            )
            yield _problem(definition, (*here, number, "maxSeconds"), message)
    if steps[-1].weight != 100:
        message = f"expected the last step at 100, found {steps[-1].weight:g}"
        hint = "add a step: {weight: 100}"
        yield _problem(definition, (*here, len(steps) - 1, "weight"), message, hint)


def _check_pipeline_count(definitions: Sequence[Definition], broken: Broken) -> Iterator[Problem]:
    pipelines = [d for d in definitions if d.kind == "Pipeline"]
    if not pipelines and not any(kind == "Pipeline" for kind, _ in broken):
        file = definitions[0].file if definitions else ""
        message = "no Pipeline; expected exactly one"
        hint = "add a document with `kind: Pipeline`; `andon init` writes one"
        yield Problem(file=file, line=0, column=0, field="", message=message, hint=hint)
    for extra in pipelines[1:]:
        message = f"a second Pipeline; the first is at {pipelines[0].file}:{pipelines[0].line}"
        hint = "move its jobs there: one Pipeline holds the jobs of all services"
        yield _problem(extra, ("kind",), message, hint)


def _check_one_each(definitions: Iterable[Definition]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Definition] = {}
    for definition in definitions:
        if isinstance(definition.spec, RouteSpec) or (
            isinstance(definition.spec, ObjectiveSpec) and judges(definition.spec)
        ):
            service = definition.spec.service
            taken = first.setdefault((definition.kind, service), definition)
            if taken is not definition and taken.metadata.name != definition.metadata.name:
                message = (
                    f"`{service}` already has the {definition.kind} `{taken.metadata.name}` "
                    f"({taken.file}:{taken.line})"
                )
                yield _problem(definition, ("spec", "service"), message, "keep one of them")


def _check_ports(definitions: Iterable[Definition]) -> Iterator[Problem]:
    taken: dict[int, tuple[str, str]] = {}
    for definition in definitions:
        if isinstance(definition.spec, RouteSpec):
            for environment, port in definition.spec.listen.items():
                owner = taken.setdefault(port, (definition.metadata.name, environment))
                if owner != (definition.metadata.name, environment):
                    message = f"port {port} is already taken by Route `{owner[0]}` in `{owner[1]}`"
                    yield _problem(definition, ("spec", "listen", environment), message)


def _check_circles(definitions: Sequence[Definition]) -> Iterator[Problem]:
    documents = {d.metadata.name: d for d in definitions if isinstance(d.spec, EnvironmentSpec)}
    specs = {n: d.spec for n, d in documents.items() if isinstance(d.spec, EnvironmentSpec)}
    for field, word in (("base", "are based on"), ("after", "come after")):
        links = {name: _link(specs, name, field) for name in specs}
        for circle in circles(links):
            message = f"environments {word} each other: {_arrows(circle)}"
            yield _problem(documents[circle[0]], ("spec", field), message)


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
