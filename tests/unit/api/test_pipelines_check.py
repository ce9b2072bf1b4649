"""What Pipelines and Templates must say together, and where messages point."""

from __future__ import annotations

import textwrap

import pytest

from andon.api.pipelines_check import check_pipeline
from andon.api.project import check_project
from andon.api.v1.pipelines import Job, Matrix, PipelineSpec, TemplateSpec, TemplateUse

HEAD = "apiVersion: andon/v1\nkind: Pipeline\nmetadata: { name: shop }\nspec:\n"
TEMPLATE = """\
---
apiVersion: andon/v1
kind: Template
metadata: { name: py }
spec:
  version: 1.2.3
  parameters:
    python: { required: true, enum: ["3.11", "3.12"] }
    jobs: { type: integer, default: 2 }
  jobs:
    unit: { run: pytest }
    wheel: { run: build, needs: [unit], always: false }
"""


def problems(spec: str, *more: str) -> list[str]:
    text = HEAD + textwrap.indent(textwrap.dedent(spec), "  ") + "".join(more)
    return [str(problem) for problem in check_project({"f": text.encode()}).problems]


def said(spec: str, *more: str) -> str:
    return "\n".join(problems(spec, *more))


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("{}", "f:7:11: spec.jobs.unit: expected one of `run`, `steps` and `approval`; found none"),
        ("{run: x, approval: {}}", "found `run` and `approval`"),
        ("{steps: [{name: a}]}", "spec.jobs.unit.steps[0]: expected `run` or `uses`; found none"),
        ("{steps: [{run: x, with: {a: 1}}]}", "`with` belongs to `uses`"),
        ("{run: x, stage: tset}", "f:7:27: spec.jobs.unit.stage: no stage is called `tset`"),
        ("{run: x, needs: [untt]}", "spec.jobs.unit.needs[0]: no job is called `untt`"),
        ("{run: x, if: change.brunch}", "f:7:24: spec.jobs.unit.if: `change` has no `brunch`"),
        ("{run: x, if: '${{ true }}'}", "`if` is an expression as it stands"),
        ("{run: x, env: {A: '${{ params.a }}'}}", "nothing is called `params` here"),
        ("{run: x, env: {A: '${{ a'}}", "`${{` is not closed"),
        ("{run: x, image: '${{ change.branch }}'}", "nothing is called `change` here"),
        ("{run: x, paths: [../a]}", "`../a` leads out of the work tree"),
        ("{run: x, inputs: [/etc/passwd]}", "is not relative to the work tree"),
        ("{run: x, artifacts: {paths: [a/../../b]}}", "leads out of the work tree"),
        ("{approval: {people: [bob]}}", "expected `team:<name>` or `person:<name>`"),
        ("{approval: {count: 2, people: ['person:a']}}", "expected at most 1"),
        ("{approval: {}, secrets: {A: b}}", "an approval runs nothing"),
        ("{run: x, services: {db: {}}}", "expected `run` or `image`; found none"),
        ("{run: x, services: {db: {image: a}}}", "`port` is missing"),
        ("{run: x, secrets: {A: b}, steps: []}", ""),
    ],
)
def test_fields_of_a_job_that_do_not_go_together(job: str, message: str) -> None:
    found = said(f"stages: [test]\njobs:\n  unit: {job}\n")
    assert message in found if message else found == ""


@pytest.mark.parametrize(
    "job",
    [
        "{run: 'echo ${{ change.message }}'}",
        "{steps: [{run: 'echo ${{ change.message }}'}]}",
        "{steps: [{uses: python, with: {args: ['${{ change.branch }}']}}]}",
        "{run: x, services: {db: {run: 'db ${{ change.branch }}'}}}",
        "{run: x, services: {db: {run: db, ready: {command: '${{ change.branch }}'}}}}",
    ],
)
def test_no_expression_stands_in_shell_text(job: str) -> None:
    assert "`${{` is not put into shell text" in said(f"jobs:\n  unit: {job}\n")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("{}", "expected `axes` or `include`"),
        ("{axes: {a: [1, 2]}, exclude: [{b: 1}]}", "no axis is called `b`"),
        ("{axes: {a: ['1', '2']}, exclude: [{a: 1}]}", "write it as the axis does"),
        ("{axes: {a: [1]}, exclude: [{a: 1}]}", "no combination is left"),
        ("{axes: {a: [1, 1]}}", "`1` is written twice"),
        ("{include: [{a: 1, b: 2}, {b: 2, a: 1}]}", "a combination is made twice"),
        ("{axes: {a: [1], A: [2]}}", "`a` and `A` would both be $MATRIX_A"),
        (f"{{axes: {{a: {list(range(17))}, b: {list(range(16))}}}}}", "272 combinations"),
    ],
)
def test_what_is_wrong_with_a_matrix(matrix: str, message: str) -> None:
    assert message in said(f"jobs:\n  unit: {{run: x, matrix: {matrix}}}\n")


def test_names_that_jobs_would_share_once_expanded() -> None:
    found = said("jobs:\n  a: {run: x, matrix: {axes: {k: [b]}}}\n  a-b: {run: x}\n")
    assert "`a` and `a-b` would both be called `a-b`" in found
    twice = said("templates:\n- {template: py, with: {python: '3.11'}}\n", TEMPLATE)
    assert twice == ""
    own = "templates:\n- {template: py, with: {python: '3.11'}}\njobs:\n  unit: {run: x}\n"
    assert "give the Template a `prefix`" in said(own, TEMPLATE)


def test_circles_lead_through_stages_too() -> None:
    spec = """\
        stages: [build, test]
        jobs:
          pack: {run: x, stage: build, needs: [smoke]}
          smoke: {run: x, needs: [unit]}
          unit: {run: x, stage: test}
        """
    assert "jobs wait for each other: pack → smoke → unit → stage build → pack" in said(spec)


def test_everything_wrong_with_what_a_template_is_given_is_said_at_once() -> None:
    use = "templates:\n- {template: py, version: '2', with: {python: 3.11, jbos: 1, jobs: x}}\n"
    found = said(use, TEMPLATE)
    assert "Template `py` is of version 1.2.3, not 2" in found
    assert "spec.templates[0].with.python: expected text, found the number 3.11" in found
    assert "no parameter `jbos`\n    did you mean `jobs`?" in found
    assert "spec.templates[0].with.jobs: expected a whole number" in found
    assert "parameter `python` is missing" in said("templates:\n- {template: py}\n", TEMPLATE)
    other = "templates:\n- {template: py, with: {python: '3.10'}}\n"
    assert "expected `3.11` or `3.12`" in said(other, TEMPLATE)


def test_a_template_of_another_repository_is_pinned() -> None:
    use = "templates:\n- {template: py, source: 'https://git.example.org/ci'}\n"
    (found,) = problems(use)
    assert "`revision` is missing: what is not pinned may be anything tomorrow" in found
    branch = "templates:\n- {template: py, source: 'https://h/ci', revision: main}\n"
    assert "a full commit id" in said(branch)


def test_jobs_of_templates_that_were_not_read_may_be_needed() -> None:
    pinned = f"templates:\n- {{template: py, source: 'https://h/ci', revision: {'0' * 40}}}\n"
    assert said(pinned + "jobs:\n  pack: {run: x, needs: [wheel]}\n") == ""
    assert "no Template is called `go`" in said("templates:\n- {template: go}\n", TEMPLATE)


def test_what_a_template_says_of_itself_is_checked() -> None:
    use = "templates:\n- {template: py, with: {python: '3.11'}}\n"
    wrong = TEMPLATE.replace("default: 2", "default: two").replace("[unit]", "[untt]")
    found = said(use, wrong)
    assert "spec.parameters.jobs.default: expected a whole number" in found
    assert "spec.jobs.wheel.needs[0]: no job is called `untt`" in found
    unset = TEMPLATE.replace("type: integer, default: 2", "type: integer")
    assert "neither `default` nor `required: true`" in said(use, unset)


def test_an_artifact_is_packed_from_one_job() -> None:
    service = (
        "---\napiVersion: andon/v1\nkind: Service\nmetadata: { name: shop }\n"
        "spec: { command: [serve], artifact: { job: pack } }\n"
    )
    many = "jobs:\n  pack: {run: x, matrix: {axes: {a: [1, 2]}}}\n"
    assert "`pack` becomes several jobs" in said(many, service)
    assert "is not waited for" in said("jobs:\n  pack: {run: x, blocking: false}\n", service)
    assert said("jobs:\n  pack: {run: x}\n", service) == ""


def test_what_a_pipeline_comes_to_is_bounded() -> None:
    axes = {"a": tuple(range(16)), "b": tuple(range(16))}
    job = Job(run=":", matrix=Matrix(axes=axes))
    spec = PipelineSpec(jobs={f"j{number}": job for number in range(60)})
    assert "more than 10000 jobs" in next(one.message for one in check_pipeline(spec, {}))
    wide = Job(run=":", matrix=Matrix(axes=axes), needs=("j0", "j1", "j2", "j3", "j4"))
    spec = PipelineSpec(jobs={**{f"j{n}": job for n in range(5)}, "w": wide})
    assert "needs of jobs" in next(one.message for one in check_pipeline(spec, {}))


def test_more_uses_than_anybody_needs_are_refused() -> None:
    use = TemplateUse(template="py", source="https://h/ci", revision="0" * 40)
    spec = PipelineSpec(templates=(use,) * 51)
    assert "51 uses of Templates" in next(one.message for one in check_pipeline(spec, {}))


def test_a_template_named_like_its_prefix_stays_within_names() -> None:
    use = TemplateUse(template="t", prefix="p" * 60)
    found = check_pipeline(
        PipelineSpec(templates=(use,)),
        {"#t": TemplateSpec(version="1.0.0", jobs={"u": Job(run=":")})},
    )
    assert [one.message for one in found] == []
    long = TemplateUse(template="t", prefix="p" * 62)
    (finding,) = check_pipeline(
        PipelineSpec(templates=(long,)),
        {"#t": TemplateSpec(version="1.0.0", jobs={"u": Job(run=":")})},
    )
    assert "more than 63 characters" in finding.message
