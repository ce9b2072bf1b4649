"""What a build Run is planned to do, from a Change alone."""

from __future__ import annotations

import subprocess

from msgspec.structs import replace

from andon.api.v1.pipelines import Group, Job, PipelineSpec, Quarantine
from andon.api.v1.records import ChangeSpec
from andon.domains.pipelines.plan import plan_build


def change(pipeline: PipelineSpec, **said: object) -> ChangeSpec:
    spec = ChangeSpec(
        repository="/srv/shop",
        sha="0" * 40,
        ref="refs/heads/topic",
        author="Ann",
        message="why",
        committed_at=1.0,
        policy_revision="0" * 40,
        pipeline_name="shop",
        pipeline=pipeline,
        services={},
        environments={},
    )
    return replace(spec, **said)


def test_the_group_trust_and_quarantine_of_a_build() -> None:
    excused = Quarantine(test="t", owner="ann", until="2026-12-31")
    group = Group(name="build-${{ change.branch }}", when_busy="cancel-older")
    pipeline = PipelineSpec(jobs={"a": Job(run=":")}, concurrency=group, quarantine=(excused,))
    plan = plan_build(change(pipeline, trusted=False))
    assert (plan.concurrency, plan.cancel_older, plan.trusted) == ("build-topic", True, False)
    assert plan.quarantine == (excused,)


def test_what_a_schedule_builds_again_is_not_told_by_paths() -> None:
    pipeline = PipelineSpec(
        jobs={
            "docs": Job(run=":", paths=("docs/**",)),
            "night": Job(run=":", condition="change.event == 'schedule'"),
        }
    )
    spec = change(pipeline, paths=("src/a.py",))
    docs, night = plan_build(spec).jobs
    assert docs.skip
    assert night.skip
    assert not any(job.skip for job in plan_build(replace(spec, event="schedule")).jobs)


def test_a_plan_that_comes_to_nothing_fails_and_says_why() -> None:
    pipeline = PipelineSpec(jobs={"a": Job(run=":", condition="1 / 0 == 1")})
    (job,) = plan_build(change(pipeline)).jobs
    ran = subprocess.run(["sh", "-euc", job.run], capture_output=True, text=True)
    assert ran.returncode == 1
    assert "job a: if: it divides by zero" in ran.stderr
