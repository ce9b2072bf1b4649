"""Whatever a Pipeline says: what was checked can be planned, and what is planned hangs together."""

from __future__ import annotations

import re
from contextlib import suppress
from graphlib import TopologicalSorter

from hypothesis import given, settings
from hypothesis import strategies as st

from andon.api.expressions import Wrong, check, evaluate, pieces
from andon.api.matrix import combinations, members, same
from andon.api.pipelines_check import check_pipeline
from andon.api.v1.pipelines import ChangeFacts, Job, Matrix, PipelineSpec, Scalar
from andon.domains.pipelines.expand import expand

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
STAGES = ("check", "build", "ship")
scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.text(max_size=8), st.integers(-3, 3), st.booleans(), st.sampled_from([0.5, 1.0, 3.11])
)
rows = st.dictionaries(st.sampled_from(["os", "py", "db"]), scalars, min_size=1, max_size=3)
axes = st.dictionaries(
    st.sampled_from(["os", "py"]), st.lists(scalars, min_size=1, max_size=4).map(tuple), max_size=2
)
matrices = st.builds(
    Matrix,
    axes=axes,
    include=st.lists(rows, max_size=3).map(tuple),
    exclude=st.lists(rows, max_size=2).map(tuple),
)


@st.composite
def pipelines(draw: st.DrawFn) -> PipelineSpec:
    names = [f"j{number}" for number in range(draw(st.integers(1, 7)))]
    return PipelineSpec(
        stages=STAGES,
        jobs={
            name: Job(
                run=":",
                needs=tuple(
                    draw(
                        st.lists(st.sampled_from(names[:place] or [name]), unique=True, max_size=2)
                    )
                )
                if place
                else (),
                stage=draw(st.sampled_from([None, *STAGES])),
                matrix=draw(st.one_of(st.none(), matrices)),
                shards=draw(st.sampled_from([1, 1, 2])),
                condition=draw(st.sampled_from([None, None, "false", "change.branch == 'main'"])),
                paths=draw(st.sampled_from([(), ("src/**",), ("docs/**",)])),
                blocking=draw(st.booleans()),
            )
            for place, name in enumerate(names)
        },
    )


facts = st.builds(
    ChangeFacts,
    branch=st.sampled_from(["main", "topic"]),
    paths=st.sampled_from([None, (), ("src/a",), ("docs/a", "src/b")]),
)


@settings(max_examples=150, deadline=None)
@given(pipelines(), facts)
def test_what_was_checked_can_be_planned_and_hangs_together(
    spec: PipelineSpec, change: ChangeFacts
) -> None:
    if list(check_pipeline(spec, {})):
        return
    jobs = expand(spec, change)
    by_name = {job.name: job for job in jobs}
    assert len(by_name) == len(jobs)
    assert all(NAME.match(name) for name in by_name)
    assert expand(spec, change) == jobs
    list(TopologicalSorter({job.name: job.needs for job in jobs}).static_order())
    for job in jobs:
        needed = [by_name[name] for name in job.needs]
        if not job.skip:
            assert not any(one.skip for one in needed)
        if job.blocking:
            assert all(one.blocking for one in needed)
        if (own := spec.jobs[job.group or job.name]).needs and not job.skip:
            groups = {one.group or one.name for one in needed}
            assert groups >= set(own.needs)


@given(pipelines())
def test_a_job_of_a_stage_waits_for_all_that_run_in_earlier_ones(spec: PipelineSpec) -> None:
    if list(check_pipeline(spec, {})):
        return
    jobs = {job.name: job for job in expand(spec, ChangeFacts(branch="main"))}
    for job in jobs.values():
        stage = spec.jobs[job.group or job.name].stage
        earlier = STAGES[: STAGES.index(stage)] if stage else ()
        waited: set[str] = set()
        ahead = list(job.needs)
        while ahead:
            name = ahead.pop()
            if name not in waited:
                waited.add(name)
                ahead += jobs[name].needs
        for other in jobs.values():
            first = spec.jobs[other.group or other.name].stage
            if first in earlier and other.blocking and not other.skip and not job.skip:
                assert other.name in waited


@given(matrices)
def test_every_combination_is_made_once_and_none_that_is_excluded(matrix: Matrix) -> None:
    made = combinations(matrix)
    names = [name for name, _, _ in members("unit", Job(run=":", matrix=matrix))]
    assert len(names) == len(made)
    for one in made:
        of_axes = matrix.axes and all(
            name in one and any(same(one[name], value) for value in values)
            for name, values in matrix.axes.items()
        )
        added = any(
            all(name in one and same(one[name], value) for name, value in entry.items())
            for entry in matrix.include
        )
        assert of_axes or added
        for out in matrix.exclude:
            inside = all(name in matrix.axes for name in out)
            if inside and not added:
                assert not all(same(one[name], out[name]) for name in out)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_no_text_is_an_expression_that_breaks_anything(text: str) -> None:
    for attempt in (
        lambda: check(text, {"change": {"branch"}}),
        lambda: evaluate(text, {"change": {"branch": "main"}}),
        lambda: pieces("${{" + text + "}}"),
    ):
        with suppress(Wrong):
            attempt()
