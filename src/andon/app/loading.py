"""Reads everything a Change is made of: a commit, its documents and Templates, the rules in force."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from andon.api.parse import Parsed
from andon.api.problems import invalid
from andon.api.project import Definitions, check_project, group, read_project
from andon.api.templates import template_key
from andon.api.v1.pipelines import ChangeFacts
from andon.app.sigma_files import SigmaFiles, read_sigma_files
from andon.app.templates import Files, origins_of, read_templates
from andon.app.typed import typed_step
from andon.domains.pipelines.conditions import MOST_PATHS
from andon.domains.pipelines.keys import declared
from andon.domains.pipelines.plan import check_plannable
from andon.domains.pipelines.rules import branch_name
from andon.kernel.errors import InvalidDocument
from andon.ports import Commit, Source

FILE = "andon.yaml"
OPENSLO_FILE = "openslo.yaml"
"""Objectives in OpenSLO's words may stand here, too."""
DEFAULT_BRANCH = "main"


class Loaded(Struct, frozen=True):
    """A commit with its definitions, and the rules that hold for it."""

    commit: Commit
    repository: str
    ref: str
    own: Definitions
    policy: Definitions
    policy_revision: str
    next_policy: str
    """Policy revision that holds for the Changes after this one."""
    next_rules: Definitions
    """What that revision says."""
    origins: dict[str, str] = {}
    """Where jobs and Templates are written."""
    event: str = "push"
    paths: tuple[str, ...] | None = None
    """What the commit touches; None: not known."""
    trusted: bool = True
    """False: a stranger's or an unreviewed change."""
    input_digests: Mapping[str, str] = {}
    """What the files are that jobs declare as their inputs, by path."""
    next_sigma: SigmaFiles | None = None
    """Sigma rules of the next policy revision; None: it is the one that holds already."""


class Whole(Struct, frozen=True):
    """A commit's documents with the Templates they use."""

    definitions: Definitions
    origins: dict[str, str]


def read_definitions(source: Source, repository: str, sha: str) -> Definitions:
    """Read and check a commit's documents; Templates of other files are left out.

    Raises:
        InvalidDocument: They are missing or wrong; all problems at once.
    """
    return read_project(_files(source, repository, sha))


def _files(source: Source, repository: str, sha: str) -> dict[str, bytes]:
    data = source.read(repository, sha, FILE)
    if data is None:
        raise InvalidDocument(
            f"{repository} has no {FILE} at {sha[:12]}",
            hint="`andon init` writes one; commit it and ship again",
        )
    openslo = source.read(repository, sha, OPENSLO_FILE)
    return {FILE: data} if openslo is None else {FILE: data, OPENSLO_FILE: openslo}


def read_whole(
    source: Source,
    repository: str,
    sha: str,
    *,
    elsewhere: Files | None = None,
    allowed: Collection[str] | None = None,
    places: bool = True,
) -> Whole:
    """Read and check a commit's documents and the Templates they use, wherever those are.

    Args:
        source: Where the repository is read.
        repository: Path or URL.
        sha: Full sha.
        elsewhere: Where other repositories and commits are read; as this one, unless given.
        allowed: Repositories that Templates may be of; None: any.
        places: Whether to say where jobs are written, too.

    Raises:
        InvalidDocument: Something is missing or wrong; all problems at once.
        Unavailable: The repository of a Template cannot be reached.
    """
    files = _files(source, repository, sha)
    parsed = check_project(files)
    _refuse(parsed)
    own = group(parsed.definitions)
    origins = origins_of(parsed.definitions, files) if places else {}
    keys = {template_key(use) for use in own.pipeline.templates}
    if keys - own.templates.keys():
        read = read_templates(
            *(source, repository, sha, parsed.definitions, files),
            elsewhere=elsewhere,
            allowed=allowed,
        )
        _refuse(check_project(files, read.templates))
        own = replace(own, templates={**own.templates, **read.templates})
        origins |= read.origins
    used = {key: spec for key, spec in own.templates.items() if key in keys}
    return Whole(replace(own, templates=used), origins)


def _refuse(parsed: Parsed) -> None:
    if parsed.problems:
        raise invalid(parsed.problems)


def load(
    source: Source,
    repository: str,
    ref: str,
    adopted: str | None,
    policy_branch: str,
    *,
    last_good: str = "",
    event: str = "push",
    trusted: bool = True,
) -> Loaded:
    """Read everything a Change is made of.

    Args:
        source: Where repositories are read.
        repository: Path or URL.
        ref: Branch, tag or sha.
        adopted: Policy revision in force; None for the first Change of a repository.
        policy_branch: Branch whose head becomes the next policy revision.
        last_good: Commit of the ref that was built well; what differs from it is what is touched.
        event: What brings it.
        trusted: False for what strangers propose, and for what nobody reviewed.
    """
    commit = source.resolve(repository, ref)
    allowed = None if trusted else _sources_in_force(source, repository, adopted)
    whole = read_whole(source, repository, commit.sha, allowed=allowed)
    own = whole.definitions
    revision = adopted or commit.sha
    policy = own if revision == commit.sha else read_definitions(source, repository, revision)
    head = _policy_head(source.heads(repository), policy_branch)
    known = {revision: policy, commit.sha: own}
    next_policy, next_rules = _next_policy(source, repository, head or revision, revision, known)
    sigma = None
    if next_policy != adopted:
        sigma = read_sigma_files(source, repository, next_policy, next_rules)
    paths = _touched(source, repository, last_good or adopted or "", commit.sha)
    facts = ChangeFacts(
        branch=branch_name(ref),
        event=event,
        author=commit.author,
        message=commit.message,
        paths=paths,
        trusted=trusted,
    )
    check_plannable(own.pipeline, facts, own.templates, whole.origins, typed_step)
    return Loaded(
        commit=commit,
        repository=repository,
        ref=ref,
        own=own,
        policy=policy,
        policy_revision=revision,
        next_policy=next_policy,
        next_rules=next_rules,
        origins=whole.origins,
        event=event,
        paths=paths,
        trusted=trusted,
        input_digests=digests_of_inputs(source, repository, commit.sha, own),
        next_sigma=sigma,
    )


def digests_of_inputs(
    source: Source, repository: str, sha: str, own: Definitions
) -> Mapping[str, str]:
    """Return what the files are that the jobs of a commit declare as their inputs, by path."""
    jobs = [own.pipeline.jobs, *(template.jobs for template in own.templates.values())]
    patterns = [job.inputs for some in jobs for job in some.values() if job.inputs]
    return declared(patterns, source.digests(repository, sha)) if patterns else {}


def _sources_in_force(source: Source, repository: str, adopted: str | None) -> frozenset[str]:
    """Return the repositories that the rules in force read Templates from."""
    if adopted is None:
        return frozenset()
    uses = read_definitions(source, repository, adopted).pipeline.templates
    return frozenset(use.source for use in uses if use.source is not None)


def _touched(source: Source, repository: str, before: str, sha: str) -> tuple[str, ...] | None:
    """Return what differs from a commit that was built before; a commit differs from itself in all."""
    if not before or before == sha:
        return None
    paths = source.changed(repository, before, sha)
    return paths if paths is not None and len(paths) <= MOST_PATHS else None


def _policy_head(heads: Mapping[str, str], branch: str) -> str | None:
    """Return the policy branch's head; an older repository may call its main branch `master`."""
    return heads.get(branch) or (heads.get("master") if branch == DEFAULT_BRANCH else None)


def _next_policy(
    source: Source, repository: str, head: str, revision: str, known: Mapping[str, Definitions]
) -> tuple[str, Definitions]:
    """Return the policy branch's head, unless its rules cannot be read: then the old ones stay."""
    if head in known:
        return head, known[head]
    try:
        return head, read_definitions(source, repository, head)
    except InvalidDocument:
        return revision, known[revision]
