"""What is allowed and probably not meant."""

from __future__ import annotations

from andon.api.v1.pipelines import (
    Job,
    JobService,
    Parameter,
    PipelineSpec,
    Quarantine,
    TemplateSpec,
)
from andon.domains.pipelines.lint import lint_pipeline, lint_template

TODAY = "2026-06-01"


def remarks(spec: PipelineSpec, written: tuple[str, ...] = ()) -> list[str]:
    return [one.message for one in lint_pipeline(spec, {}, written, TODAY)]


def timed(*names: str) -> tuple[str, ...]:
    return tuple(f"spec.jobs.{name}.timeoutSeconds" for name in names)


def test_jobs_that_never_run_and_those_that_need_them() -> None:
    jobs = {
        "a": Job(run=":", condition="1 > 2"),
        "b": Job(run=":", needs=("a",)),
        "c": Job(run=":", needs=("b",), always=True),
        "d": Job(run=":", condition="change.branch == 'main'"),
    }
    assert remarks(PipelineSpec(jobs=jobs), timed(*jobs)) == [
        "never runs: its condition is false whatever the change",
        "never runs: it needs `a`, which never does",
    ]


def test_timeouts_that_nobody_wrote() -> None:
    spec = PipelineSpec(jobs={"a": Job(run=":"), "b": Job(run=":", timeout_seconds=600)})
    assert remarks(spec, timed("b")) == ["says no `timeoutSeconds`: 600 s hold"]


def test_images_by_tag() -> None:
    pinned = "python@sha256:" + "0" * 64
    services = {"db": JobService(image="postgres:16", port=5432)}
    spec = PipelineSpec(jobs={"a": Job(run=":", image=pinned, services=services)})
    assert remarks(spec, timed("a")) == [
        "`postgres:16` is not pinned: it may be another image tomorrow"
    ]


def test_events_that_no_change_has() -> None:
    spec = PipelineSpec(jobs={"a": Job(run=":", condition="change.event == 'pull_request'")})
    assert remarks(spec, timed("a")) == ["no change has the event `pull_request`"]


def test_stages_without_jobs_and_quarantines_that_are_over() -> None:
    over = Quarantine(test="t", owner="ann", until="2026-05-31")
    last = Quarantine(test="u", owner="ann", until=TODAY)
    spec = PipelineSpec(jobs={}, stages=("check",), quarantine=(over, last))
    assert remarks(spec) == [
        "no job is in stage `check`",
        "the quarantine of `t` ended on 2026-05-31: its failures count again",
    ]


def test_parameters_that_no_job_asks_for() -> None:
    jobs = {"a": Job(run="echo $PARAM_ONE", env={"B": "${{ params.two }}"})}
    parameters = {name: Parameter() for name in ("one", "two", "three")}
    spec = TemplateSpec(version="1.0.0", parameters=parameters, jobs=jobs)
    found = [one.message for one in lint_template(spec, timed("a"))]
    assert found == ["no job asks for the parameter `three`"]
