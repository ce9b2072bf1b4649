"""What a Pipeline comes to for one change."""

from __future__ import annotations

import pytest

from andon.api.v1.jobs import JobPlan
from andon.api.v1.pipelines import (
    ChangeFacts,
    Consent,
    Job,
    Matrix,
    Parameter,
    PipelineSpec,
    Scalar,
    Step,
    TemplateSpec,
    TemplateUse,
    Triggers,
)
from andon.domains.pipelines.expand import expand
from andon.kernel.errors import InvalidDocument

MAIN = ChangeFacts(branch="main", paths=("src/a.py",))
TWO = Matrix(axes={"py": ("3.11", "3.12")})


def plans(
    facts: ChangeFacts = MAIN, /, stages: tuple[str, ...] = (), **jobs: Job
) -> dict[str, JobPlan]:
    spec = PipelineSpec(
        jobs={name.replace("_", "-"): job for name, job in jobs.items()}, stages=stages
    )
    return {job.name: job for job in expand(spec, facts)}


def job(*needs: str, **said: object) -> Job:
    return Job(run=":", needs=needs, **said)


def test_needing_a_matrix_means_all_its_members() -> None:
    found = plans(unit=job(matrix=TWO), pack=job("unit", matrix=TWO))
    assert found["pack-3-11"].needs == ("unit-3-11", "unit-3-12")
    assert found["unit-3-12"].group == "unit"
    assert found["unit-3-12"].evidence == "unit"


def test_values_reach_variables_after_the_pipelines_and_the_jobs_own() -> None:
    unit = job(matrix=TWO, env={"A": "job", "V": "py${{ matrix.py }}"})
    spec = PipelineSpec(jobs={"unit": unit}, env={"A": "all", "B": "${{ change.branch }}"})
    first, _ = expand(spec, MAIN)
    assert first.env == {"A": "job", "B": "main", "V": "py3.11", "MATRIX_PY": "3.11"}


def test_texts_of_steps_services_caches_and_images_are_filled() -> None:
    unit = Job(
        steps=(Step(run="x", env={"P": "${{ matrix.py }}"}),),
        matrix=TWO,
        image="py:${{ matrix.py }}",
    )
    found = plans(unit=unit)["unit-3-12"]
    assert found.steps[0].env == {"P": "3.12"}
    assert found.image == "py:3.12"


def test_a_false_condition_skips_and_names_itself() -> None:
    found = plans(a=job(condition="change.branch == 'other'"), b=job())
    assert found["a"].skip == "if: `change.branch == 'other'` is false"
    assert found["b"].skip == ""


def test_a_condition_may_look_at_the_matrix() -> None:
    found = plans(unit=job(matrix=TWO, condition="matrix.py != '3.11'"), pack=job("unit"))
    assert found["unit-3-11"].skip
    assert not found["unit-3-12"].skip
    assert found["pack"].needs == ("unit-3-12",)
    assert not found["pack"].skip


def test_what_needs_something_skipped_is_skipped_and_says_why_down_to_the_root() -> None:
    found = plans(
        c=job("b"), b=job("a"), a=job(paths=("docs/**",)), up=job("b", always=True), other=job()
    )
    rule = "paths: the change touches none of `docs/**`"
    assert found["b"].skip == f"needs a, which was skipped: {rule}"
    assert found["c"].skip == f"needs b, which was skipped: {rule}"
    assert not found["up"].skip
    assert not found["other"].skip


def test_a_member_that_is_left_does_not_hide_that_another_job_was_skipped() -> None:
    found = plans(a=job(condition="false"), b=job(matrix=TWO), c=job("a", "b"))
    assert found["c"].skip.startswith("needs a, which was skipped")


@pytest.mark.parametrize(
    "condition", ["change.paths.exists(p, p == 'x')", "!('x' in change.paths)"]
)
def test_where_paths_are_not_known_nothing_is_skipped_by_them(condition: str) -> None:
    facts = ChangeFacts(branch="main")
    found = plans(facts, a=job(paths=("docs/**",)), b=job(condition=condition))
    assert not any(one.skip for one in found.values())


def test_a_change_that_touches_thousands_of_paths_is_looked_at_no_closer() -> None:
    facts = ChangeFacts(paths=tuple(f"docs/{number}" for number in range(3001)))
    assert not plans(facts, a=job(paths=("src/**",)))["a"].skip


@pytest.mark.parametrize(
    ("triggers", "rule"),
    [
        (Triggers(branches=("release/*",)), "triggers.branches: `main` is none of `release/*`"),
        (Triggers(paths=("docs/**",)), "triggers.paths: the change touches none of `docs/**`"),
        (
            Triggers(ignore_paths=("src/**",)),
            "triggers.ignorePaths: the change touches nothing but",
        ),
        (Triggers(branches=("main",), paths=("src/**",)), ""),
    ],
)
def test_triggers_leave_out_whole_builds(triggers: Triggers, rule: str) -> None:
    (found,) = expand(PipelineSpec(jobs={"a": job()}, triggers=triggers), MAIN)
    assert found.skip.startswith(rule)
    assert bool(found.skip) is bool(rule)


def test_stages_wait_for_the_stage_before_and_needs_are_added() -> None:
    found = plans(
        stages=("check", "empty", "build", "ship"),
        lint=job(stage="check"),
        types=job("lint", stage="check"),
        pack=job(stage="build"),
        free=job(),
        send=job("free", stage="ship"),
        tidy=job(stage="check", always=True),
    )
    assert found["pack"].needs == ("types",)
    assert found["send"].needs == ("free", "pack")
    assert found["lint"].needs == found["free"].needs == ()


def test_a_stage_orders_and_asks_for_nothing() -> None:
    skipped = job("lint", stage="check", condition="false")
    found = plans(
        stages=("check", "build"), lint=job(stage="check"), types=skipped, pack=job(stage="build")
    )
    assert found["pack"].needs == ("lint",)
    assert not found["pack"].skip


def test_a_stage_of_which_nothing_runs_is_passed_over() -> None:
    found = plans(
        stages=("a", "b", "c"),
        one=job(stage="a"),
        two=job(stage="b", condition="false"),
        three=job(stage="c"),
    )
    assert found["three"].needs == ("one",)


def test_nothing_waits_for_what_is_not_blocking_and_what_needs_it_comes_later_too() -> None:
    found = plans(
        stages=("a", "b"),
        slow=job(stage="a", blocking=False),
        quick=job(stage="a"),
        report=job("slow"),
        pack=job(stage="b"),
    )
    assert found["pack"].needs == ("quick",)
    assert found["pack"].blocking
    assert not found["slow"].blocking
    assert not found["report"].blocking


def test_an_approval_runs_nothing() -> None:
    found = plans(ask=Job(approval=Consent(count=2, people=("team:sre",))))["ask"]
    assert (found.run, found.steps) == ("", ())
    assert found.approval is not None
    assert (found.approval.count, found.approval.people) == (2, ("team:sre",))


def test_strangers_changes_get_no_secrets() -> None:
    named = job(secrets={"TOKEN": "token"})
    assert plans(named=named)["named"].secrets["TOKEN"].name == "token"
    assert plans(ChangeFacts(trusted=False), named=named)["named"].secrets == {}


def with_template(given: dict[str, Scalar]) -> dict[str, JobPlan]:
    template = TemplateSpec(
        version="1.2.0",
        parameters={"python": Parameter(default="3.11"), "fast": Parameter(type="boolean")},
        jobs={
            "unit": Job(run="pytest", env={"V": "${{ params.python }}"}, condition="!params.fast"),
            "wheel": Job(run="build", needs=("unit",)),
        },
    )
    use = TemplateUse(template="py", prefix="api", parameters=given, needs=("lint",))
    spec = PipelineSpec(jobs={"lint": job(), "ship": job("api-wheel")}, templates=(use,))
    origins = {"job/lint": "andon.yaml:3", "template/#py/job/unit": "andon.yaml:40"}
    return {one.name: one for one in expand(spec, MAIN, {"#py": template}, origins)}


def test_templates_bring_their_jobs_with_prefix_needs_parameters_and_origin() -> None:
    found = with_template({"python": "3.12"})
    assert list(found) == ["lint", "ship", "api-unit", "api-wheel"]
    assert found["api-unit"].needs == ("lint",)
    assert found["api-wheel"].needs == ("api-unit",)
    assert found["ship"].needs == ("api-wheel",)
    assert found["api-unit"].env == {"V": "3.12", "PARAM_PYTHON": "3.12", "PARAM_FAST": "false"}
    assert found["api-unit"].origin == "Template py 1.2.0 (andon.yaml:40)"
    assert found["lint"].origin == "andon.yaml:3"
    assert with_template({"fast": True})["ship"].skip.startswith("needs api-wheel")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"condition": "change.branch"}, "job a: if: expected true or false; it came to the text"),
        ({"condition": "1 / 0 == 1"}, "job a: if: it divides by zero"),
        ({"env": {"A": "${{ [1] }}"}}, "job a: env.A: it came to a list"),
        ({"env": {"A": "${{ change.author }}"}}, "job a: env.A: it came to 9000 characters"),
        ({"env": {"A": "${{ 'a\\u0000b' }}"}}, "job a: env.A: it came to a text with a NUL"),
    ],
)
def test_expressions_that_come_to_nothing_are_refused_with_their_place(
    said: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidDocument, match=message.replace("(", r"\(")):
        plans(ChangeFacts(branch="main", author="a" * 9000), a=job(**said))


def test_what_a_stranger_calls_a_branch_stays_a_value() -> None:
    branch = "x'; rm -rf / #$(id)`id`${{ 1 + 1 }}"
    found = plans(ChangeFacts(branch=branch), a=job(env={"B": "on ${{ change.branch }}"}))["a"]
    assert found.env == {"B": f"on {branch}"}
    assert found.run == ":"
