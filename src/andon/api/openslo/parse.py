"""Reads OpenSLO documents from YAML or JSON: everything that is wrong, at once, where it stands.

Strict: each breach of a rule is a problem. Warning mode: what can be understood all the same is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from andon.api.openslo.documents import (
    API_VERSION,
    KINDS,
    OTHER_VERSIONS,
    Document,
    DocumentMetadata,
)
from andon.api.openslo.rules import breaches
from andon.api.positions import Positions, locate
from andon.api.problems import Path, Problem, did_you_mean, field_name
from andon.api.shape import Misfit, found, misfits

Mode = Literal["strict", "warning"]
_ENVELOPE = ("apiVersion", "kind", "metadata", "spec")


class Read(Struct, frozen=True, kw_only=True):
    """What was read.

    Args:
        documents: Those that can be understood.
        problems: Why others cannot, or may not.
        warnings: What is wrong with documents that are understood all the same.
    """

    documents: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def read_value(
    value: object, text: str, line_offset: int, first_line: int, file: str, mode: Mode = "warning"
) -> Read:
    """Read one document, or a list of them, that YAML made plain data of.

    Args:
        value: Plain data.
        text: What it was read from.
        line_offset: Lines of the file before that.
        first_line: The document's first line.
        file: The file's name.
        mode: Whether what can be understood all the same is a problem.
    """
    items: list[tuple[Path, Any]] = [((), value)]
    if isinstance(value, list):
        items = [((number,), item) for number, item in enumerate(value)]
    positions: Positions | None = None
    parts = []
    for path, item in items:
        document, wrong = _read_item(item, file, first_line)
        if wrong and positions is None:
            positions = locate(text, line_offset)
        if positions is not None and path:
            place = positions.of_value(path)
            document = document and msgspec.structs.replace(document, line=place.line)
        parts.append(_told(document, path, wrong, positions, file, mode))
    return Read(
        documents=tuple(one for part in parts for one in part.documents),
        problems=tuple(one for part in parts for one in part.problems),
        warnings=tuple(one for part in parts for one in part.warnings),
    )


def _told(
    document: Document | None,
    path: Path,
    wrong: list[tuple[Misfit, bool]],
    positions: Positions | None,
    file: str,
    mode: Mode,
) -> Read:
    told = [
        (_problem(misfit, path, positions, file), harmless and mode == "warning")
        for misfit, harmless in wrong
    ]
    problems = tuple(problem for problem, harmless in told if not harmless)
    return Read(
        documents=(document,) if document is not None and not problems else (),
        problems=problems,
        warnings=tuple(problem for problem, harmless in told if harmless),
    )


def _problem(misfit: Misfit, path: Path, positions: Positions | None, file: str) -> Problem:
    here = (*path, *misfit.path)
    line = column = 0
    if positions is not None:
        place = positions.of_key(here) if misfit.at_key else positions.of_value(here)
        line, column = place.line, place.column
    return Problem(
        file=file,
        line=line,
        column=column,
        field=field_name(here),
        message=misfit.message,
        hint=misfit.hint,
    )


def _read_item(
    value: object, file: str, line: int
) -> tuple[Document | None, list[tuple[Misfit, bool]]]:
    """Return a document, and each thing that is wrong with whether it is harmless."""
    wrong = [(misfit, False) for misfit in _shape(value)]
    if wrong or not isinstance(value, dict):
        return None, wrong
    try:
        metadata = msgspec.convert(value["metadata"], DocumentMetadata)
        spec: Any = msgspec.convert(value["spec"], KINDS[value["kind"]])
    except msgspec.ValidationError as error:
        return None, [(Misfit(path=(), message=str(error)), False)]
    found = [
        (Misfit(path=one.path, message=one.message, hint=one.hint), one.harmless)
        for one in breaches(value["kind"], metadata, spec)
    ]
    document = Document(kind=value["kind"], metadata=metadata, spec=spec, file=file, line=line)
    return document, found


def _shape(value: object) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        yield Misfit(path=(), message=f"expected an OpenSLO document, found {found(value)}")
        return
    version, kind = value.get("apiVersion"), value.get("kind")
    if version != API_VERSION:
        hint = f"`apiVersion: {API_VERSION}` is read here"
        if version in OTHER_VERSIONS:
            hint += "; say it in the words of that version"
        message = f"expected `{API_VERSION}`, found {found(version)}"
        yield Misfit(path=("apiVersion",), message=message, hint=hint)
        return
    for name in value:
        if name not in _ENVELOPE:
            hint = did_you_mean(str(name), _ENVELOPE)
            yield Misfit(path=(str(name),), message="unknown field", hint=hint, at_key=True)
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS, "known kinds") if isinstance(kind, str) else ""
        yield Misfit(path=("kind",), message=f"unknown kind: found {found(kind)}", hint=hint)
        return
    for name, type_ in (("metadata", DocumentMetadata), ("spec", KINDS[kind])):
        if name in value:
            yield from misfits(value[name], type_, (name,))
        else:
            yield Misfit(path=(), message=f"`{name}` is missing")
