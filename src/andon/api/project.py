"""A project's documents together: do they refer to each other rightly, and which is which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from andon.api.findings import placed
from andon.api.objectives_check import warn_objectives
from andon.api.parse import Parsed, read_documents
from andon.api.pipelines_check import NO_TEMPLATES, Templates
from andon.api.problems import invalid
from andon.api.references import check_references, own_templates
from andon.api.together import Broken, check_pipeline_count, judges
from andon.api.v1.definitions import (
    RULE_KINDS,
    Definition,
    EnvironmentSpec,
    ObjectiveSpec,
    RouteSpec,
    ServiceSpec,
)
from andon.api.v1.pipelines import PipelineSpec, TemplateSpec

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
        raise invalid(tuple(check_pipeline_count(documents, frozenset())))
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
    own += placed(openslo.problems, files)
    between = check_references(definitions, files, broken, templates) if complete else ()
    return Parsed(
        definitions=definitions,
        problems=(*own, *between),
        broken=broken,
        complete=complete,
        openslo=tuple(document for part in read for document in part.openslo),
        warnings=(
            *(problem for part in read for problem in part.warnings),
            *placed((*openslo.warnings, *warn_objectives(definitions)), files),
        ),
        notes=tuple(placed(openslo.notes, files)),
    )


def _understood(documents: list[Document]) -> Parsed:
    """Say OpenSLO documents in our words."""
    if not documents:
        return Parsed()
    from andon.api.openslo.translate import translate

    told = translate(documents)
    return Parsed(
        definitions=told.definitions,
        problems=told.problems,
        warnings=told.warnings,
        notes=told.notes,
    )


def read_project(files: Mapping[str, bytes]) -> Definitions:
    """Read and check a project's files.

    Raises:
        InvalidDocument: Something is wrong; the message lists everything.
    """
    parsed = check_project(files)
    if parsed.problems:
        raise invalid(parsed.problems)
    return group(parsed.definitions)
