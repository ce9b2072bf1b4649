"""Where in a project's files something that was found stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import structs

from andon.api.fragments import document_positions
from andon.api.positions import Place
from andon.api.problems import Path, Problem, field_name
from andon.api.templates import Finding
from andon.api.v1.definitions import Definition


def problem_at(definition: Definition, path: Path, message: str, hint: str = "") -> Problem:
    """Say that something is wrong at a place in a document."""
    return Problem(
        file=definition.file,
        line=definition.line,
        column=1 if definition.line else 0,
        field=field_name(path),
        message=message,
        hint=hint,
    )


def problems_of(definition: Definition, findings: Iterable[Finding]) -> Iterator[Problem]:
    """Say of which document findings are."""
    return (problem_at(definition, *finding) for finding in findings)


def told(
    definition: Definition, findings: Iterable[Finding], sources: Mapping[str, bytes]
) -> tuple[Problem, ...]:
    """Say where in the files what was found in a document stands."""
    return tuple(placed(problems_of(definition, findings), sources))


def placed(problems: Iterable[Problem], sources: Mapping[str, bytes]) -> Iterator[Problem]:
    """Point each problem at its field instead of its document."""
    known: dict[tuple[str, int], dict[str, Place]] = {}
    for problem in problems:
        document = (problem.file, problem.line)
        if document not in known:
            known[document] = document_positions(sources.get(problem.file, b""), problem.line)
        place = known[document].get(problem.field)
        yield structs.replace(problem, line=place.line, column=place.column) if place else problem
