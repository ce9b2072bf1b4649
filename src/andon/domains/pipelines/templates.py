"""A Pipeline with the jobs of its Templates in it, each with where it is written."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from andon.api.pipelines_check import Templates, name_in, placed
from andon.api.templates import template_key, values
from andon.api.v1.pipelines import Job, PipelineSpec, Scalar, TemplateSpec, TemplateUse


class Written(Struct, frozen=True, kw_only=True):
    """A job as a document says it, before its matrix makes several of it.

    Args:
        name: Its name in the Pipeline.
        job: What it says, with the needs it has in the Pipeline.
        parameters: Values of the Template's parameters.
        origin: Where it is written.
    """

    name: str
    job: Job
    parameters: Mapping[str, Scalar] = {}
    origin: str = ""


def unfold(
    pipeline: PipelineSpec, templates: Templates, origins: Mapping[str, str]
) -> tuple[Written, ...]:
    """Return the jobs of a Pipeline and of the Templates it uses, in the order written.

    Args:
        pipeline: The Pipeline, which was checked.
        templates: All Templates it uses, by ``template_key``.
        origins: Where jobs are written: ``job/<name>``, ``template/<key>/job/<name>``.

    >>> use = TemplateUse(template="py", prefix="api", parameters={"version": "3.12"})
    >>> spec = TemplateSpec(version="1.0.0", jobs={"unit": Job(run="pytest")})
    >>> one, = unfold(PipelineSpec(templates=(use,)), {"#py": spec}, {})
    >>> one.name, one.origin
    ('api-unit', 'Template py 1.0.0')
    """
    own = [
        Written(name=name, job=job, origin=origins.get(f"job/{name}", ""))
        for name, job in pipeline.jobs.items()
    ]
    return (*own, *(one for use in pipeline.templates for one in _of(use, templates, origins)))


def _of(use: TemplateUse, templates: Templates, origins: Mapping[str, str]) -> list[Written]:
    key = template_key(use)
    spec: TemplateSpec = templates[key]
    given = values(spec, use.parameters)
    return [
        Written(
            name=name_in(use, name),
            job=placed(use, job),
            parameters=given,
            origin=_origin(use, spec, origins.get(f"template/{key}/job/{name}", "")),
        )
        for name, job in spec.jobs.items()
    ]


def _origin(use: TemplateUse, spec: TemplateSpec, place: str) -> str:
    return f"Template {use.template} {spec.version}{f' ({place})' if place else ''}"
