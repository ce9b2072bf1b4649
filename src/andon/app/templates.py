"""Templates of a Pipeline, read where they are written: the same commit, or a pinned one elsewhere.

They come from anybody's repository: each file is bounded and checked before anything is made of it, and
only what a use names is taken. A stranger's change may name no repository that the rules in force do
not name already, and what lies on this machine is read only for a repository that does, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from andon.adapters.git.locations import is_remote
from andon.api.findings import told
from andon.api.fragments import key_lines
from andon.api.parse import read_documents
from andon.api.pipelines_check import check_template
from andon.api.problems import Problem, did_you_mean, field_name, invalid
from andon.api.templates import Finding, template_key
from andon.api.v1.definitions import Definition
from andon.api.v1.pipelines import PipelineSpec, TemplateSpec, TemplateUse
from andon.kernel.errors import NotFound, UsageError

MOST_REPOSITORIES = 10
"""So many other repositories a Pipeline may read Templates from."""


class Files(Protocol):
    """Where files of commits are read; any Source."""

    def read(self, repository: str, sha: str, path: str) -> bytes | None:
        """Return a file's content at a commit; None if it is not there."""
        ...


class Read(Struct, frozen=True):
    """Templates of a Pipeline besides those of its own file, and where they are written."""

    templates: dict[str, TemplateSpec] = {}
    origins: dict[str, str] = {}
    lines: dict[str, tuple[str, dict[str, int]]] = {}
    """File of each Template, and the lines of its fields."""


NOWHERE = Read()


class Refused(Exception):
    """A Template cannot be had; says why, for people."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.finding = (message, hint)


def read_templates(
    source: Files,
    repository: str,
    sha: str,
    definitions: Collection[Definition],
    files: Mapping[str, bytes],
    *,
    elsewhere: Files | None = None,
    allowed: Collection[str] | None = None,
) -> Read:
    """Read the Templates that a Pipeline uses and that stand in no file of its own.

    Args:
        source: Where the Pipeline's own repository is read.
        repository: The Pipeline's own.
        sha: The Pipeline's own commit.
        definitions: All documents of its file.
        files: That file, to say where a use stands.
        elsewhere: Where other repositories and commits are read; as the own one, unless given.
        allowed: Repositories that may be named; None: any.

    Raises:
        InvalidDocument: Some cannot be had, or are wrong; all problems at once.
        Unavailable: A repository cannot be reached.
    """
    pipeline = next(one for one in definitions if isinstance(one.spec, PipelineSpec))
    assert isinstance(pipeline.spec, PipelineSpec)
    own = {f"#{one.metadata.name}" for one in definitions if one.kind == "Template"}
    reader = _Reader(source, elsewhere or source, repository, sha, allowed)
    found: list[Problem] = []
    findings: list[Finding] = []
    for number, use in enumerate(pipeline.spec.templates):
        if template_key(use) in own:
            continue
        try:
            found += reader.read(use)
        except Refused as refused:
            findings.append(Finding(("spec", "templates", number), *refused.finding))
    problems = [*told(pipeline, findings, files), *found]
    if problems:
        raise invalid(problems)
    return Read(reader.templates, reader.origins, reader.lines)


def origins_of(definitions: Collection[Definition], files: Mapping[str, bytes]) -> dict[str, str]:
    """Say where the jobs of Pipelines and Templates are written."""
    found: dict[str, str] = {}
    for one in definitions:
        if isinstance(one.spec, PipelineSpec):
            found |= _jobs_of(one, files.get(one.file, b""), "job/", one.file)
        elif isinstance(one.spec, TemplateSpec):
            key = f"template/#{one.metadata.name}"
            found[key] = f"{one.file}:{one.line}"
            found |= _jobs_of(one, files.get(one.file, b""), f"{key}/job/", one.file)
    return found


def _jobs_of(one: Definition, data: bytes, prefix: str, file: str) -> dict[str, str]:
    assert isinstance(one.spec, (PipelineSpec, TemplateSpec))
    lines = key_lines(data, one.line) if one.spec.jobs else {}
    places = {
        name: lines.get(field_name(("spec", "jobs", name)), one.line) for name in one.spec.jobs
    }
    return {f"{prefix}{name}": f"{file}:{line}" for name, line in places.items()}


class _Reader:
    def __init__(
        self,
        source: Files,
        elsewhere: Files,
        repository: str,
        sha: str,
        allowed: Collection[str] | None,
    ) -> None:
        self._source, self._other = source, elsewhere
        self._repository, self._sha = repository, sha
        self._allowed = allowed
        self._files: dict[tuple[str, str, str], bytes] = {}
        self._elsewhere: set[str] = set()
        self.templates: dict[str, TemplateSpec] = {}
        self.origins: dict[str, str] = {}
        self.lines: dict[str, tuple[str, dict[str, int]]] = {}

    def read(self, use: TemplateUse) -> Iterator[Problem]:
        """Take a Template; yield what is wrong with it.

        Raises:
            Refused: It cannot be had.
        """
        key = template_key(use)
        if key in self.templates:
            return iter(())
        where, data = self._file(use)
        parsed = read_documents(data, where)
        named = [
            one
            for one in parsed.definitions
            if one.kind == "Template" and one.metadata.name == use.template
        ]
        if len(named) != 1:
            if named or not parsed.problems:
                raise self._not_one(use, where, parsed.definitions, len(named))
            return iter(parsed.problems)
        (template,) = named
        assert isinstance(template.spec, TemplateSpec)
        self.templates[key] = template.spec
        self.lines[key] = where, key_lines(data, template.line)
        self._place(f"template/{key}", template, data, where)
        return iter(told(template, check_template(template.spec), {where: data}))

    def _place(self, key: str, template: Definition, data: bytes, where: str) -> None:
        self.origins[key] = f"{where}:{template.line}"
        self.origins |= _jobs_of(template, data, f"{key}/job/", where)

    def _not_one(
        self, use: TemplateUse, where: str, definitions: Collection[Definition], count: int
    ) -> Refused:
        if count:
            return Refused(f"{where} has {count} Templates called `{use.template}`")
        names = [one.metadata.name for one in definitions if one.kind == "Template"]
        hint = did_you_mean(use.template, names, "Templates there")
        return Refused(f"{where} has no Template `{use.template}`", hint)

    def _file(self, use: TemplateUse) -> tuple[str, bytes]:
        """Return a file and what messages call it.

        Raises:
            Refused: It cannot be had.
        """
        if use.source is not None and use.revision is None:
            raise Refused("`revision` is missing: what is not pinned may be anything tomorrow")
        repository, sha = self._place_of(use), use.revision or self._sha
        at = (repository, sha, use.file)
        where = use.file if sha == self._sha else f"{use.file} at {sha[:12]}"
        where = f"{use.source}: {where}" if use.source else where
        if at not in self._files:
            self._files[at] = self._content(*at, where)
        return where, self._files[at]

    def _content(self, repository: str, sha: str, file: str, where: str) -> bytes:
        own = (repository, sha) == (self._repository, self._sha)
        try:
            data = (self._source if own else self._other).read(repository, sha, file)
        except (NotFound, UsageError) as error:
            raise Refused(error.message, error.hint) from None
        if data is None:
            raise Refused(f"there is no {where}", "`file` says where the Template is written")
        return data

    def _place_of(self, use: TemplateUse) -> str:
        """Return the repository that a use means, if it may be read for this one."""
        named = use.source
        if named is None:
            return self._repository
        if self._allowed is not None and named not in self._allowed:
            message = (
                f"{named} is none of the repositories that the rules in force read Templates from"
            )
            raise Refused(message, "a change that is not trusted may name no others")
        self._elsewhere.add(named)
        if len(self._elsewhere) > MOST_REPOSITORIES:
            raise Refused(f"Templates of more than {MOST_REPOSITORIES} repositories")
        try:
            if is_remote(named):
                return named
            if is_remote(self._repository):
                raise Refused(
                    f"{named} is a folder of this machine, which the repository is not of"
                )
        except UsageError as error:
            raise Refused(error.message, error.hint) from None
        return named if "://" in named else str(Path(self._repository) / named)
