"""What the fields of Pipelines and Templates must say together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from andon.api import expressions
from andon.api.circles import circles
from andon.api.expressions import Names
from andon.api.jobs_check import check_job, check_patterns, check_text, check_texts, known_names
from andon.api.matrix import MOST_COMBINATIONS, members, size
from andon.api.problems import Path, did_you_mean
from andon.api.templates import Finding, check_parameters, check_use, is_own, template_key
from andon.api.v1.pipelines import Job, PipelineSpec, TemplateSpec, TemplateUse
from andon.kernel.patterns import problem as pattern_problem

MOST_JOBS = 10_000
"""So many jobs a Pipeline may come to, once expanded."""
MOST_NEEDS = 300_000
"""So many needs of jobs of each other, once expanded."""
MOST_TEMPLATES = 50
_LONGEST_NAME = 63
_OF_GROUPS: Names = {"change": expressions.CHANGE}

Templates = Mapping[str, TemplateSpec]
"""Templates by ``template_key``; one that is not there could not be read here."""
NO_TEMPLATES: Templates = MappingProxyType({})


def check_template(spec: TemplateSpec) -> Iterator[Finding]:
    """Yield everything wrong with a Template by itself."""
    yield from check_parameters(spec)
    for name, job in spec.jobs.items():
        here: Path = ("spec", "jobs", name)
        yield from check_job(here, job, spec.parameters)
        yield from _check_needs(here, name, job, spec.jobs, ())
    yield from _check_circles(spec.jobs, {}, ())


def check_pipeline(spec: PipelineSpec, templates: Templates) -> Iterator[Finding]:
    """Yield everything wrong with a Pipeline and the Templates it uses.

    Args:
        spec: The Pipeline.
        templates: The Templates that could be read.
    """
    jobs = all_jobs(spec, templates)
    unread = any(template_key(use) not in templates for use in spec.templates)
    for name, job in spec.jobs.items():
        here: Path = ("spec", "jobs", name)
        yield from check_job(here, job, {})
        yield from _check_needs(here, name, job, jobs, ("spec", "templates") if unread else ())
        yield from _check_stage((*here, "stage"), job.stage, spec.stages)
    if not spec.jobs and not spec.templates:
        yield Finding(("spec",), "expected `jobs` or `templates`; found neither")
    yield from check_texts(("spec", "env"), spec.env, known_names(None, {}))
    if spec.concurrency is not None:
        path: Path = ("spec", "concurrency", "name")
        yield from check_text(path, spec.concurrency.name, _OF_GROUPS)
    for field in ("paths", "ignore_paths"):
        where = "paths" if field == "paths" else "ignorePaths"
        yield from check_patterns(("spec", "triggers", where), getattr(spec.triggers, field))
    yield from _check_stages(spec)
    yield from _check_uses(spec, templates, jobs, unread)
    yield from _check_names(spec, templates)
    yield from _check_circles(jobs, spec.jobs, spec.stages)


def all_jobs(spec: PipelineSpec, templates: Templates) -> dict[str, Job]:
    """Return a Pipeline's own jobs and those of its Templates, by the name they have in it.

    >>> use = TemplateUse(template="python", prefix="py")
    >>> spec = PipelineSpec(jobs={"lint": Job(run="ruff")}, templates=(use,))
    >>> sorted(all_jobs(spec, {"#python": TemplateSpec(version="1.0.0", jobs={"unit": Job(run=":")})}))
    ['lint', 'py-unit']
    """
    found = dict(spec.jobs)
    for use in spec.templates:
        template = templates.get(template_key(use))
        for name, job in template.jobs.items() if template else ():
            found.setdefault(name_in(use, name), placed(use, job))
    return found


def name_in(use: TemplateUse, job: str) -> str:
    """Name a Template's job in the Pipeline that uses it."""
    return f"{use.prefix}-{job}" if use.prefix else job


def placed(use: TemplateUse, job: Job) -> Job:
    """Return a Template's job with the needs it has in the Pipeline."""
    own = tuple(name_in(use, need) for need in job.needs)
    return replace(job, needs=own or (() if job.always else use.needs))


# --- jobs of each other ---------------------------------------------------------------------------


def _check_needs(
    here: Path, name: str, job: Job, jobs: Mapping[str, Job], unread: Path
) -> Iterator[Finding]:
    for number, needed in enumerate(job.needs):
        path: Path = (*here, "needs", number)
        if needed not in jobs:
            if not unread:
                hint = did_you_mean(needed, jobs, "known job names")
                yield Finding(path, f"no job is called `{needed}`", hint)
        elif jobs[needed].always and not job.always:
            message = f"`{needed}` is a clean-up job (`always`): it runs after the others"
            yield Finding(path, message, f"make `{name}` one too, or need another")


def _check_stage(path: Path, stage: str | None, stages: Collection[str]) -> Iterator[Finding]:
    if stage is not None and stage not in stages:
        hint = did_you_mean(stage, stages, "known stages") or f"declare it: stages: [{stage}]"
        yield Finding(path, f"no stage is called `{stage}`", hint)


def _check_stages(spec: PipelineSpec) -> Iterator[Finding]:
    for number, stage in enumerate(spec.stages):
        if stage in spec.stages[:number]:
            yield Finding(("spec", "stages", number), f"stage `{stage}` is written twice")


def _check_circles(
    jobs: Mapping[str, Job], own: Collection[str], stages: tuple[str, ...]
) -> Iterator[Finding]:
    links: dict[str, list[str]] = {name: list(job.needs) for name, job in jobs.items()}
    before = {stage: f"stage {stages[place - 1]}" for place, stage in enumerate(stages) if place}
    for stage in stages:
        links[f"stage {stage}"] = [before[stage]] if stage in before else []
    for name, job in jobs.items():
        if job.stage in stages and not job.always:
            links[f"stage {job.stage}"].append(name)
        if job.stage in before:
            links[name].append(before[job.stage])
    for circle in circles(links):
        named = next((one for one in circle if one in own), circle[0])
        where: Path = ("spec", "jobs", named, "needs")
        path = where if named in own or not own else ("spec", "templates")
        yield Finding(path, f"jobs wait for each other: {' → '.join((*circle, circle[0]))}")


# --- templates ------------------------------------------------------------------------------------


def _check_uses(
    spec: PipelineSpec, templates: Templates, jobs: Mapping[str, Job], unread: bool
) -> Iterator[Finding]:
    if len(spec.templates) > MOST_TEMPLATES:
        message = f"{len(spec.templates)} uses of Templates; at most {MOST_TEMPLATES} are read"
        yield Finding(("spec", "templates"), message)
        return
    for number, use in enumerate(spec.templates):
        here: Path = ("spec", "templates", number)
        yield from _check_pinned(here, use)
        template = templates.get(template_key(use))
        if template is None:
            continue
        yield from check_use(use, template, here)
        for position, needed in enumerate(use.needs):
            if needed not in jobs and not unread:
                hint = did_you_mean(needed, jobs, "known job names")
                yield Finding((*here, "needs", position), f"no job is called `{needed}`", hint)
        for job in template.jobs.values():
            yield from _check_stage(here, job.stage, spec.stages)


def _check_pinned(here: Path, use: TemplateUse) -> Iterator[Finding]:
    """Refuse what may be another Template tomorrow, and files that are outside."""
    if use.source is not None and use.revision is None:
        message = "`revision` is missing: what is not pinned may be anything tomorrow"
        hint = "add the full sha: git ls-remote shows it"
        yield Finding((*here, "source"), message, hint)
    if wrong := pattern_problem(use.file):
        yield Finding((*here, "file"), f"`{use.file[:80]}` {wrong}")
    if use.version is not None and not re.fullmatch(r"\d+(\.\d+){0,2}", use.version):
        message = f"expected a version such as `1`, `1.2` or `1.2.0`, found `{use.version[:40]}`"
        yield Finding((*here, "version"), message)


def unknown_template(use: TemplateUse, here: Path, known: Iterable[str]) -> Iterator[Finding]:
    """Yield that a Template of the same file is not there."""
    if is_own(use) and template_key(use).startswith("#"):
        hint = did_you_mean(use.template, known, "known Template names")
        yield Finding((*here, "template"), f"no Template is called `{use.template}`", hint)


# --- what it comes to -----------------------------------------------------------------------------


def _check_names(spec: PipelineSpec, templates: Templates) -> Iterator[Finding]:
    """Check what the jobs are called once they are expanded, and how many there are."""
    taken: dict[str, tuple[Path, str]] = {}
    counts: Counter[str] = Counter()
    for path, name, job in _written(spec, templates):
        if len(name) > _LONGEST_NAME:
            yield Finding(path, f"`{name}` has more than {_LONGEST_NAME} characters")
        if job.matrix is not None and size(job.matrix) > MOST_COMBINATIONS:
            continue
        many = members(name, job)
        counts[name] = len(many)
        if counts.total() > MOST_JOBS:
            message = f"more than {MOST_JOBS} jobs, once expanded"
            yield Finding(path, message, "split the Pipeline, or take values out of a matrix")
            return
        for member in dict.fromkeys((name, *(expanded for expanded, _, _ in many))):
            other = taken.setdefault(member, (path, name))
            if other != (path, name):
                message = f"`{other[1]}` and `{name}` would both be called `{member}`"
                yield Finding(path, message, "rename one of them, or give the Template a `prefix`")
                break
    yield from _check_many_needs(spec, templates, counts)


def _written(spec: PipelineSpec, templates: Templates) -> Iterator[tuple[Path, str, Job]]:
    for name, job in spec.jobs.items():
        yield ("spec", "jobs", name), name, job
    for number, use in enumerate(spec.templates):
        template = templates.get(template_key(use))
        for name, job in template.jobs.items() if template else ():
            yield ("spec", "templates", number), name_in(use, name), job


def _check_many_needs(
    spec: PipelineSpec, templates: Templates, counts: Counter[str]
) -> Iterator[Finding]:
    jobs = all_jobs(spec, templates)
    stages = Counter[str]()
    for name, job in jobs.items():
        stages[job.stage or ""] += counts[name]
    before = dict(zip(spec.stages[1:], spec.stages, strict=False))
    total = sum(
        counts[name]
        * (sum(counts[need] for need in job.needs) + stages[before.get(job.stage or "", "\0")])
        for name, job in jobs.items()
    )
    if total > MOST_NEEDS:
        message = f"{total} needs of jobs of each other, once expanded; at most {MOST_NEEDS}"
        yield Finding(("spec",), message, "have a job between that needs the many, and need that")
