"""Environment variables of a project: what is a secret is nothing else, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from andon.api.problems import Path
from andon.api.v1.definitions import Definition, EnvironmentSpec, ServiceSpec
from andon.api.v1.pipelines import BasicJob, Job, PipelineSpec, TemplateSpec

OURS = frozenset({"PORT"})
"""Variables that Andon sets, besides those that begin with ``ANDON_``."""


class Clash(NamedTuple):
    """A variable that two would set: where in which document, and why that is wrong."""

    definition: Definition
    path: Path
    message: str
    hint: str


Plain = Mapping[str, Mapping[str, str]]
"""Variables in clear, by what sets them."""


def clashes(definitions: Sequence[Definition]) -> Iterator[Clash]:
    """Yield each secret whose variable is set otherwise, too.

    Args:
        definitions: All documents that are judged together.
    """
    for one in definitions:
        match one.spec:
            case PipelineSpec(jobs=jobs, env=shared):
                for name, job in jobs.items():
                    yield from _of_job(one, name, job, {"env of the Pipeline": shared})
            case TemplateSpec(jobs=jobs):
                for name, job in jobs.items():
                    yield from _of_job(one, name, job, {})
            case ServiceSpec():
                yield from _of_service(one, one.spec, definitions)


def _of_job(one: Definition, name: str, job: Job, shared: Plain) -> Iterator[Clash]:
    steps = {f"env of step {number + 1}": step.env for number, step in enumerate(job.steps)}
    yield from _of(one, ("spec", "jobs", name), job, {"env": job.env, **shared, **steps})


def _of_service(
    one: Definition, spec: ServiceSpec, definitions: Sequence[Definition]
) -> Iterator[Clash]:
    configured = {"config": spec.config}
    for other in definitions:
        if isinstance(other.spec, EnvironmentSpec):
            overlay = other.spec.services.get(one.metadata.name)
            own = overlay.config if overlay else {}
            where = f"config of Environment {other.metadata.name}"
            configured[where] = {**other.spec.config, **own}
    yield from _of(one, ("spec",), spec, configured)
    for field, jobs in (("preDeploy", spec.pre_deploy), ("postDeploy", spec.post_deploy)):
        for number, job in enumerate(jobs):
            taken = {"env": job.env, **configured}
            yield from _of(one, ("spec", field, number), job, taken)


def _of(
    definition: Definition, here: Path, holder: ServiceSpec | BasicJob, plain: Plain
) -> Iterator[Clash]:
    for variable in holder.secrets:
        path = (*here, "secrets", variable)
        for where in (where for where, names in plain.items() if variable in names):
            message = f"`{variable}` is set by `{where}`, too"
            hint = "a variable is a secret or in clear: rename one, or take it out there"
            yield Clash(definition, path, message, hint)
        if variable in OURS or variable.startswith("ANDON_"):
            yield Clash(definition, path, f"`{variable}` is set by Andon itself", "rename it")
