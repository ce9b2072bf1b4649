"""A Pipeline as it lies in a folder: what is wrong with it, and what it comes to, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from andon.adapters.git.source import GitSource
from andon.api.findings import told
from andon.api.fragments import key_lines
from andon.api.pipelines_check import name_in
from andon.api.problems import Problem, field_name
from andon.api.project import Definitions, check_project, group
from andon.api.templates import template_key
from andon.api.v1.definitions import Definition
from andon.api.v1.jobs import JobPlan
from andon.api.v1.pipelines import ChangeFacts, PipelineSpec, TemplateSpec
from andon.app.templates import NOWHERE, Read, read_templates
from andon.app.typed import typed_step
from andon.domains.pipelines.expand import expand
from andon.domains.pipelines.lint import lint_pipeline, lint_template, unused_template
from andon.kernel.errors import InvalidDocument

_WRITTEN_AS: Mapping[str, tuple[str, ...]] = {
    "needs": ("needs", "stage"),
    "values": ("matrix",),
    "failFast": ("matrix",),
    "atOnce": ("matrix",),
    "shard": ("shards",),
    "keepArtifactsSeconds": ("artifacts",),
}
"""Fields of a plan and those of the document they come from."""
_TOLD_APART = ("name", "group", "origin")


class Folder:
    """Files of a folder, without what links outside of it.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def read(self, repository: str, sha: str, path: str) -> bytes | None:
        """Return a file's content as it lies there; None if it is not there."""
        file = (self._root / path).resolve()
        return file.read_bytes() if file.is_relative_to(self._root) and file.is_file() else None


class Blueprint(Struct, frozen=True, kw_only=True):
    """A Pipeline and its Templates, checked.

    Args:
        problems: Everything wrong; then the rest is empty.
        remarks: What is probably not meant.
        own: The project's documents, with all Templates used.
        places: Lines of the fields, by document.
    """

    problems: tuple[Problem, ...] = ()
    remarks: tuple[Problem, ...] = ()
    own: Definitions | None = None
    read: Read = NOWHERE
    places: dict[str, tuple[str, dict[str, int]]] = {}


class Line(Struct, frozen=True):
    """A field of an expanded job, and where it was written (empty: nowhere, it is the default)."""

    field: str
    value: Any
    place: str


def look_at(file: str, data: bytes, root: Path, state: Path, today: str) -> Blueprint:
    """Check a Pipeline and the Templates it uses, and say what is probably not meant.

    Args:
        file: Name of the file, for messages.
        data: Its content.
        root: Folder that Templates of the same repository are read from.
        state: Folder that keeps what was read of other repositories.
        today: The day, for quarantines that are over.

    Raises:
        InvalidDocument: A Template cannot be had, or is wrong.
        Unavailable: The repository of one cannot be reached.
    """
    files = {file: data}
    parsed = check_project(files)
    if parsed.problems:
        return Blueprint(problems=parsed.problems)
    own = group(parsed.definitions)
    elsewhere = GitSource(state / "repositories")
    read = read_templates(
        *(Folder(root), str(root), "", parsed.definitions, files), elsewhere=elsewhere
    )
    again = check_project(files, read.templates)
    if again.problems:
        return Blueprint(problems=again.problems)
    templates = {**own.templates, **read.templates}
    own = replace(own, templates=templates)
    places = {f"{one.kind}/{one.metadata.name}": _lines(one, data) for one in parsed.definitions}
    return Blueprint(
        remarks=tuple(_remarks(parsed.definitions, own, files, places, today)),
        own=own,
        read=read,
        places=places,
    )


def _lines(one: Definition, data: bytes) -> tuple[str, dict[str, int]]:
    return one.file, key_lines(data, one.line)


def _remarks(
    definitions: tuple[Definition, ...],
    own: Definitions,
    files: Mapping[str, bytes],
    places: Mapping[str, tuple[str, dict[str, int]]],
    today: str,
) -> Iterator[Problem]:
    for one in definitions:
        _, written = places[f"{one.kind}/{one.metadata.name}"]
        if isinstance(one.spec, PipelineSpec):
            yield from told(one, lint_pipeline(one.spec, own.templates, written, today), files)
        elif isinstance(one.spec, TemplateSpec):
            yield from told(one, lint_template(one.spec, written), files)
            yield from told(one, unused_template(one.metadata.name, own.pipeline), files)


class Shown(Struct, frozen=True, kw_only=True):
    """A job as it would run, or the rule that skips it."""

    job: JobPlan
    lines: tuple[Line, ...]


def unfolded(seen: Blueprint, facts: ChangeFacts) -> tuple[Shown, ...]:
    """Return the jobs that a change would have, each line with where it was written.

    Args:
        seen: A Pipeline without problems.
        facts: What is known of the change.

    Raises:
        InvalidDocument: An expression cannot be evaluated for it.
    """
    if seen.own is None:
        raise InvalidDocument("the Pipeline has problems", hint="andon pipeline lint")
    own = seen.own
    origins = _origins(seen, own)
    jobs = expand(own.pipeline, facts, own.templates, origins, typed_step)
    writers = _writers(seen, own)
    return tuple(Shown(job=job, lines=tuple(_of(job, seen, own, writers))) for job in jobs)


def _origins(seen: Blueprint, own: Definitions) -> dict[str, str]:
    file, lines = seen.places[f"Pipeline/{own.pipeline_name}"]
    found = {f"job/{name}": _place(file, lines, f"spec.jobs.{name}") for name in own.pipeline.jobs}
    for key, spec in own.templates.items():
        where = seen.places.get(f"Template/{key.removeprefix('#')}")
        for job in spec.jobs if where else ():
            file, lines = where or ("", {})
            found[f"template/{key}/job/{job}"] = _place(file, lines, f"spec.jobs.{job}")
    return {**seen.read.origins, **found}


class _Writer(Struct, frozen=True, kw_only=True):
    """Where a job is written, and the use of a Template that brought it."""

    file: str
    lines: Mapping[str, int]
    job: str
    use: str = ""

    def place(self, *fields: str) -> str:
        """Return where the first of these fields of the job stands."""
        return next(filter(None, (self.below(f"{self.job}.{field}") for field in fields)), "")

    def below(self, field: str) -> str:
        """Return where a field of the document stands."""
        return _place(self.file, self.lines, field)


def _writers(seen: Blueprint, own: Definitions) -> dict[str, _Writer]:
    file, lines = seen.places[f"Pipeline/{own.pipeline_name}"]
    found = {
        name: _Writer(file=file, lines=lines, job=field_name(("spec", "jobs", name)))
        for name in own.pipeline.jobs
    }
    for number, use in enumerate(own.pipeline.templates):
        key = template_key(use)
        place = seen.places.get(f"Template/{use.template}") if key.startswith("#") else None
        where, inside = place or seen.read.lines.get(key, ("", {}))
        for job in own.templates[key].jobs:
            found[name_in(use, job)] = _Writer(
                file=where,
                lines=inside,
                job=field_name(("spec", "jobs", job)),
                use=field_name(("spec", "templates", number)),
            )
    return found


def _of(
    job: JobPlan, seen: Blueprint, own: Definitions, writers: Mapping[str, _Writer]
) -> Iterator[Line]:
    writer = writers[job.group or job.name]
    file, shared = seen.places[f"Pipeline/{own.pipeline_name}"]
    for field, value in to_builtins(job).items():
        if field == "env":
            for name, text in value.items():
                yield Line(f"env.{name}", text, _env_place(name, writer, file, shared))
        elif field == "skip":
            rule = value.partition(":")[0]
            place = writer.place("needs" if rule.startswith("needs ") else rule)
            yield Line(field, value, place or _place(file, shared, f"spec.{rule}"))
        elif field not in _hidden(job) and value not in ({}, [], ""):
            yield Line(field, value, writer.place(*_WRITTEN_AS.get(field, (field,))))


def _hidden(job: JobPlan) -> tuple[str, ...]:
    return _TOLD_APART if job.artifacts else (*_TOLD_APART, "keepArtifactsSeconds")


def _env_place(name: str, writer: _Writer, file: str, shared: Mapping[str, int]) -> str:
    kind, _, rest = name.partition("_")
    if kind == "MATRIX" and (place := writer.place("matrix")):
        return place
    if kind == "PARAM" and writer.use:
        for field in shared:
            if field.startswith(f"{writer.use}.with.") and field.upper().endswith(f".{rest}"):
                return _place(file, shared, field)
        for field in writer.lines:
            if field.upper() == f"SPEC.PARAMETERS.{rest}":
                return writer.below(field)
    return writer.place(f"env.{name}") or _place(file, shared, f"spec.env.{name}")


def _place(file: str, lines: Mapping[str, int], field: str) -> str:
    return f"{file}:{lines[field]}" if field in lines else ""
