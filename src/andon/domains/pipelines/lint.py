"""What is allowed in a Pipeline and still probably not meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from andon.api import expressions
from andon.api.expressions import Wrong
from andon.api.pipelines_check import Templates, all_jobs
from andon.api.problems import Path, did_you_mean, field_name
from andon.api.templates import Finding, template_key
from andon.api.v1.pipelines import Job, PipelineSpec, TemplateSpec

EVENTS = frozenset({"push", "pull-request", "schedule", "manual"})
_EVENT = re.compile(r"""change\.event\s*==\s*(?:"([^"]*)"|'([^']*)')""")


def lint_pipeline(
    spec: PipelineSpec, templates: Templates, written: Collection[str], today: str
) -> Iterator[Finding]:
    """Yield what is probably not meant in a Pipeline that was checked.

    Args:
        spec: The Pipeline.
        templates: Its Templates, by ``template_key``.
        written: Names of the fields that stand in its document.
        today: The day, as ``2026-12-31``, for quarantines that are over.

    >>> job = Job(run="make", condition="false")
    >>> [one.message for one in lint_pipeline(PipelineSpec(jobs={"a": job}), {}, (), "2026-01-01")]
    ['never runs: its condition is false whatever the change', 'says no `timeoutSeconds`: 600 s hold']
    """
    yield from _unreachable(spec, templates)
    for name, job in spec.jobs.items():
        yield from _job(("spec", "jobs", name), job, written)
    yield from _unused(spec, templates)
    for number, one in enumerate(spec.quarantine):
        if one.until < today:
            message = (
                f"the quarantine of `{one.test}` ended on {one.until}: its failures count again"
            )
            path: Path = ("spec", "quarantine", number, "until")
            yield Finding(path, message, f"ask {one.owner}, then take it out or set a day to come")


def lint_template(spec: TemplateSpec, written: Collection[str]) -> Iterator[Finding]:
    """Yield what is probably not meant in a Template that was checked.

    Args:
        spec: The Template.
        written: Names of the fields that stand in its document.
    """
    for name, job in spec.jobs.items():
        yield from _job(("spec", "jobs", name), job, written)
    said = repr(spec.jobs)
    for name in spec.parameters:
        if f"params.{name}" not in said and f"PARAM_{name.upper()}" not in said:
            message = f"no job asks for the parameter `{name}`"
            hint = f"${{{{ params.{name} }}}} in `env`, or $PARAM_{name.upper()} in the script"
            yield Finding(("spec", "parameters", name), message, hint)


def _unreachable(spec: PipelineSpec, templates: Templates) -> Iterator[Finding]:
    """Yield jobs that run for no change, and those that need them."""
    jobs = all_jobs(spec, templates)
    never = {name for name, job in jobs.items() if _is_never(job)}
    for name in sorted(never & spec.jobs.keys()):
        message = "never runs: its condition is false whatever the change"
        yield Finding(("spec", "jobs", name, "if"), message, "take the job out, or mend `if`")
    ahead = list(never)
    while ahead:
        needed = ahead.pop()
        for name, job in jobs.items():
            if needed in job.needs and not job.always and name not in never:
                never.add(name)
                ahead.append(name)
                if name in spec.jobs:
                    path: Path = ("spec", "jobs", name, "needs")
                    yield Finding(path, f"never runs: it needs `{needed}`, which never does")


def _is_never(job: Job) -> bool:
    if job.condition is None or expressions.named(job.condition):
        return False
    try:
        return expressions.evaluate(job.condition, {}) is False
    except Wrong:
        return False


def _job(here: Path, job: Job, written: Collection[str]) -> Iterator[Finding]:
    if job.approval is None and field_name((*here, "timeoutSeconds")) not in written:
        yield Finding(here, f"says no `timeoutSeconds`: {job.timeout_seconds:g} s hold")
    for found in _EVENT.finditer(job.condition or ""):
        event = found[1] or found[2] or ""
        if event not in EVENTS:
            message = f"no change has the event `{event}`"
            yield Finding((*here, "if"), message, did_you_mean(event, EVENTS, "events"))
    yield from _image((*here, "image"), job.image)
    for name, service in job.services.items():
        yield from _image((*here, "services", name, "image"), service.image)


def _image(path: Path, image: str | None) -> Iterator[Finding]:
    if image and expressions.OPENING not in image and "@sha256:" not in image:
        message = f"`{image[:100]}` is not pinned: it may be another image tomorrow"
        yield Finding(path, message, "name it by digest: name@sha256:…")


def _unused(spec: PipelineSpec, templates: Templates) -> Iterator[Finding]:
    used = {job.stage for job in all_jobs(spec, templates).values()}
    for number, stage in enumerate(spec.stages):
        if stage not in used:
            yield Finding(("spec", "stages", number), f"no job is in stage `{stage}`")


def unused_template(name: str, spec: PipelineSpec) -> Iterator[Finding]:
    """Yield that a Pipeline of the same file uses a Template nowhere; another repository may.

    >>> len(list(unused_template("py", PipelineSpec())))
    1
    """
    if f"#{name}" not in {template_key(use) for use in spec.templates}:
        yield Finding(("metadata", "name"), f"this project uses the Template `{name}` nowhere")
