"""What only all documents of a project together show: one Pipeline, one Route a service, no port twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from andon.api.findings import problem_at
from andon.api.parse import duplicates
from andon.api.problems import Problem
from andon.api.v1.definitions import Definition, ObjectiveSpec, RouteSpec
from andon.api.variables import clashes

Broken = frozenset[tuple[str, str]]
"""Kind and name of documents that exist but have problems of their own."""


def judges(spec: ObjectiveSpec) -> bool:
    """Say whether a rollout is judged by an Objective: it says how many requests may fail or be slow."""
    return spec.availability is not None or spec.latency is not None


def check_together(definitions: Sequence[Definition], broken: Broken) -> Iterator[Problem]:
    """Check what only all documents together show."""
    yield from duplicates(definitions)
    yield from check_pipeline_count(definitions, broken)
    yield from _check_one_each(definitions)
    yield from _check_ports(definitions)
    yield from (problem_at(*clash) for clash in clashes(definitions))


def check_pipeline_count(definitions: Sequence[Definition], broken: Broken) -> Iterator[Problem]:
    """Check that there is one Pipeline."""
    pipelines = [d for d in definitions if d.kind == "Pipeline"]
    if not pipelines and not any(kind == "Pipeline" for kind, _ in broken):
        file = definitions[0].file if definitions else ""
        message = "no Pipeline; expected exactly one"
        hint = "add a document with `kind: Pipeline`; `andon init` writes one"
        yield Problem(file=file, line=0, column=0, field="", message=message, hint=hint)
    for extra in pipelines[1:]:
        message = f"a second Pipeline; the first is at {pipelines[0].file}:{pipelines[0].line}"
        hint = "move its jobs there: one Pipeline holds the jobs of all services"
        yield problem_at(extra, ("kind",), message, hint)


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
                yield problem_at(definition, ("spec", "service"), message, "keep one of them")


def _check_ports(definitions: Iterable[Definition]) -> Iterator[Problem]:
    taken: dict[int, tuple[str, str]] = {}
    for definition in definitions:
        if isinstance(definition.spec, RouteSpec):
            for environment, port in definition.spec.listen.items():
                owner = taken.setdefault(port, (definition.metadata.name, environment))
                if owner != (definition.metadata.name, environment):
                    message = f"port {port} is already taken by Route `{owner[0]}` in `{owner[1]}`"
                    yield problem_at(definition, ("spec", "listen", environment), message)
