"""What the fields of one job must say together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import fields as struct_fields

from andon.api import expressions
from andon.api.expressions import OPENING, Code, Names, Wrong
from andon.api.matrix import MOST_COMBINATIONS, combinations, kind, same, size, written
from andon.api.problems import Path, did_you_mean
from andon.api.templates import Finding
from andon.api.v1.pipelines import Consent, Job, JobService, Matrix, Scalar, Step
from andon.kernel.patterns import problem as pattern_problem

SOMEBODY = re.compile(r"(team|person):[^\s:]+\Z")
_NOT_OF_AN_APPROVAL = (
    "env", "secrets", "services", "caches", "artifacts", "reports", "retry", "inputs", "image",
    "runs_on", "matrix", "shards", "network", "concurrency",
)  # fmt: skip
_BY_VALUE = "put it in `env` and use the variable: what a stranger writes would be run otherwise"


def check_job(here: Path, job: Job, parameters: Collection[str]) -> Iterator[Finding]:
    """Yield everything wrong with a job by itself.

    Args:
        here: Where it stands.
        job: The job.
        parameters: Those of the Template it is of.
    """
    names = known_names(job.matrix, parameters, job.shards)
    said = [
        word
        for word, value in (("run", job.run), ("steps", job.steps), ("approval", job.approval))
        if value not in (None, ())
    ]
    if len(said) != 1:
        found = " and ".join(f"`{word}`" for word in said) or "none"
        yield Finding(here, f"expected one of `run`, `steps` and `approval`; found {found}")
    yield from _check_shell((*here, "run"), job.run)
    for number, step in enumerate(job.steps):
        yield from _check_step((*here, "steps", number), step, names)
    if job.approval is not None:
        yield from _check_consent(here, job, job.approval)
    if job.condition is not None:
        yield from _check_expression((*here, "if"), job.condition, names)
    yield from check_texts((*here, "env"), job.env, names)
    if job.image is not None:
        safe = {name: known for name, known in names.items() if name != "change"}
        yield from check_text((*here, "image"), job.image, safe)
    for name, service in job.services.items():
        yield from _check_beside((*here, "services", name), service, names)
    if job.matrix is not None:
        yield from _check_matrix((*here, "matrix"), job.matrix, job.env)
    yield from _check_files(here, job, names)


def _check_files(here: Path, job: Job, names: Names) -> Iterator[Finding]:
    yield from check_patterns((*here, "paths"), job.paths)
    yield from check_patterns((*here, "inputs"), job.inputs)
    seen: set[str] = set()
    for number, cache in enumerate(job.caches):
        at: Path = (*here, "caches", number)
        if cache.name in seen:
            yield Finding((*at, "name"), f"another cache is already called `{cache.name}`")
        seen.add(cache.name)
        yield from check_patterns((*at, "paths"), cache.paths)
        yield from check_patterns((*at, "key"), cache.key)
        for position, text in enumerate(cache.also):
            yield from check_text((*at, "also", position), text, names)
    if job.artifacts is not None:
        yield from check_patterns((*here, "artifacts", "paths"), job.artifacts.paths)
    for field in ("junit", "coverage", "benchmark"):
        yield from check_patterns((*here, "reports", field), getattr(job.reports, field))


def _check_step(here: Path, step: Step, names: Names) -> Iterator[Finding]:
    if (step.run is None) is (step.uses is None):
        found = "none" if step.run is None else "both"
        yield Finding(here, f"expected `run` or `uses`; found {found}")
    elif step.settings and step.uses is None:
        yield Finding((*here, "with"), "`with` belongs to `uses`; a shell text takes `env`")
    yield from _check_shell((*here, "run"), step.run)
    for name, value in step.settings.items():
        for text in value if isinstance(value, tuple) else (value,):
            yield from _check_shell((*here, "with", name), text)
    yield from check_texts((*here, "env"), step.env, names)


def _check_beside(here: Path, service: JobService, names: Names) -> Iterator[Finding]:
    if (service.run is None) is (service.image is None):
        found = "none" if service.run is None else "both"
        yield Finding(here, f"expected `run` or `image`; found {found}")
    elif service.image is not None and service.port is None:
        message = "`port` is missing; expected where the container listens"
        yield Finding(here, message)
    yield from _check_shell((*here, "run"), service.run)
    yield from _check_shell((*here, "image"), service.image, "write it out")
    yield from _check_shell((*here, "ready", "command"), service.ready.command)
    if service.ready.path is not None and service.ready.command is not None:
        yield Finding((*here, "ready"), "expected `path` or `command`; found both")
    yield from check_texts((*here, "env"), service.env, names)


def _check_shell(path: Path, text: object, hint: str = _BY_VALUE) -> Iterator[Finding]:
    """Refuse expressions where shell would run what they come to."""
    if isinstance(text, str) and OPENING in text:
        yield Finding(path, f"`{OPENING}` is not put into shell text", hint)


def _check_consent(here: Path, job: Job, rule: Consent) -> Iterator[Finding]:
    for field in struct_fields(Job):
        if field.name in _NOT_OF_AN_APPROVAL and _said(getattr(job, field.name), field):
            path: Path = (*here, field.encode_name)
            yield Finding(path, "an approval runs nothing: this has no meaning here", "take it out")
    for number, named in enumerate(rule.people):
        if not SOMEBODY.match(named):
            message = f"expected `team:<name>` or `person:<name>`, found `{named[:80]}`"
            yield Finding((*here, "approval", "people", number), message)
    people = {one for one in rule.people if one.startswith("person:")}
    if rule.people and set(rule.people) == people and len(people) < rule.count:
        message = f"expected at most {len(people)}, as many as may approve; found {rule.count}"
        yield Finding((*here, "approval", "count"), message, "name more people, or a team")


def _said(value: object, field: object) -> bool:
    default = getattr(field, "default", None)
    factory = getattr(field, "default_factory", None)
    return value != (factory() if callable(factory) else default)


def check_patterns(here: Path, patterns: Iterable[str]) -> Iterator[Finding]:
    """Yield patterns that fit nothing inside of a work tree."""
    for number, pattern in enumerate(patterns):
        if wrong := pattern_problem(pattern):
            hint = "write it from the root of the repository: `src/**`"
            yield Finding((*here, number), f"`{pattern[:80]}` {wrong}", hint)


# --- expressions ----------------------------------------------------------------------------------


def known_names(matrix: Matrix | None, parameters: Collection[str], shards: int = 1) -> Names:
    """Say what expressions of a job may name."""
    known: dict[str, Collection[str] | None] = {"change": expressions.CHANGE}
    if matrix is not None:
        chosen = {name for entry in matrix.include for name in entry}
        known["matrix"] = {*matrix.axes, *chosen}
    if parameters:
        known["params"] = parameters
    if shards > 1:
        known["shard"] = None
    return known


def check_texts(here: Path, texts: Mapping[str, str], names: Names) -> Iterator[Finding]:
    """Yield what is wrong with the expressions in variables."""
    for variable, text in texts.items():
        yield from check_text((*here, variable), text, names)


def check_text(path: Path, text: str, names: Names) -> Iterator[Finding]:
    """Yield what is wrong with the expressions in a text."""
    if OPENING not in text:
        return
    try:
        parts = expressions.pieces(text)
    except Wrong as wrong:
        yield Finding(path, wrong.message, wrong.hint)
        return
    for part in parts:
        if isinstance(part, Code):
            yield from _check_expression(path, part.source, names)


def _check_expression(path: Path, source: str, names: Names) -> Iterator[Finding]:
    if path[-1] == "if" and source.strip().startswith(OPENING):
        yield Finding(path, "`if` is an expression as it stands", f"leave `{OPENING} … }}}}` away")
        return
    try:
        expressions.check(source, names)
    except Wrong as wrong:
        yield Finding(path, wrong.message, wrong.hint)


# --- matrix ---------------------------------------------------------------------------------------


def _check_matrix(here: Path, matrix: Matrix, env: Collection[str]) -> Iterator[Finding]:
    if not matrix.axes and not matrix.include:
        yield Finding(here, "expected `axes` or `include`; found neither")
        return
    if (many := size(matrix)) > MOST_COMBINATIONS:
        message = f"{many} combinations; at most {MOST_COMBINATIONS} are made"
        yield Finding(here, message, "split the job, or take values out")
        return
    for axis, values in matrix.axes.items():
        for number, value in enumerate(values):
            if any(same(value, before) for before in values[:number]):
                path: Path = (*here, "axes", axis, number)
                yield Finding(path, f"`{written(value)}` is written twice")
    yield from _check_excluded(here, matrix)
    names = list(dict.fromkeys([*matrix.axes, *(name for one in matrix.include for name in one)]))
    yield from _check_variables(here, names, env)
    made = combinations(matrix)
    if not made:
        yield Finding((*here, "exclude"), "no combination is left", "exclude less")
    if len({frozenset((name, kind(value)) for name, value in one.items()) for one in made}) < len(
        made
    ):
        yield Finding((*here, "include"), "a combination is made twice", "take one of them out")


def _check_excluded(here: Path, matrix: Matrix) -> Iterator[Finding]:
    for number, entry in enumerate(matrix.exclude):
        path: Path = (*here, "exclude", number)
        if not entry:
            yield Finding(path, "an entry without values excludes everything", "name a value")
        for axis, value in entry.items():
            if axis not in matrix.axes:
                hint = did_you_mean(axis, matrix.axes, "known axes")
                yield Finding((*path, axis), f"no axis is called `{axis}`", hint)
            elif not any(same(value, one) for one in matrix.axes[axis]):
                yield _excludes_nothing((*path, axis), value, matrix.axes[axis])


def _excludes_nothing(path: Path, value: Scalar, values: Iterable[Scalar]) -> Finding:
    message = f"the axis has no value `{written(value)}`: this excludes nothing"
    if any(written(one) == written(value) for one in values):
        return Finding(path, message, "write it as the axis does, with or without quotes")
    return Finding(path, message, did_you_mean(written(value), map(written, values), "its values"))


def _check_variables(here: Path, names: Iterable[str], env: Collection[str]) -> Iterator[Finding]:
    taken: dict[str, str] = {}
    for name in names:
        variable = f"MATRIX_{name.upper()}"
        if taken.setdefault(variable, name) != name:
            message = f"`{taken[variable]}` and `{name}` would both be ${variable}"
            yield Finding(here, message, "rename one")
        if variable in env:
            message = f"`{variable}` is set by the matrix"
            yield Finding((*here[:-1], "env", variable), message, "rename it")
