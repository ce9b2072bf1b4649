from __future__ import annotations

import pytest

from andon.api.parse import parse_or_raise
from andon.api.project import check_project, group, read_project
from andon.api.references import check_references
from andon.kernel.errors import InvalidDocument

PIPELINE = (
    b"apiVersion: andon/v1\nkind: Pipeline\nmetadata: {name: p}\nspec: {jobs: {t: {run: make}}}\n"
)


def document(kind: str, name: str, spec: str) -> bytes:
    return f"---\napiVersion: andon/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n".encode()


def said(*documents: bytes) -> list[str]:
    return [str(p) for p in check_project({"f.yaml": PIPELINE + b"".join(documents)}).problems]


SHOP = document("Service", "shop", "{command: [x]}")


def test_definitions_are_grouped_by_kind_and_name():
    found = read_project(
        {
            "a.yaml": PIPELINE
            + SHOP
            + document("Objective", "slo", "{service: shop, availability: 0.9}"),
            "b.yaml": document("Environment", "dev", "{}")
            + document("Route", "r", "{service: shop}"),
        }
    )
    assert found.pipeline_name == "p"
    assert list(found.pipeline.jobs) == ["t"]
    assert (list(found.services), list(found.environments)) == (["shop"], ["dev"])
    assert (list(found.objectives), list(found.routes)) == (["shop"], ["shop"])


def test_a_project_without_pipeline_is_refused():
    with pytest.raises(InvalidDocument, match="no Pipeline"):
        read_project({"f.yaml": SHOP})
    with pytest.raises(InvalidDocument, match="no Pipeline"):
        group(parse_or_raise(SHOP, "f.yaml"))


def test_a_name_taken_in_another_file_is_a_problem():
    found = check_project({"a.yaml": PIPELINE + SHOP, "b.yaml": SHOP}).problems
    assert [p.file for p in found] == ["b.yaml"]
    assert "already defined at a.yaml:6" in found[0].message


def test_references_to_a_broken_document_are_not_reported_as_missing():
    broken = document("Service", "orders", "{command: [x], replicas: x}")
    assert len(said(broken, document("Route", "r", "{service: orders}"))) == 1


def test_a_file_that_is_no_yaml_hides_nothing_but_references():
    assert len(said(b"---\na: [\n", document("Route", "r", "{service: gone}"))) == 1


def test_without_the_text_the_document_is_named():
    (problem,) = check_references(
        parse_or_raise(PIPELINE + document("Route", "r", "{service: gone}"), "f.yaml")
    )
    assert (problem.file, problem.line, problem.field) == ("f.yaml", 6, "spec.service")


@pytest.mark.parametrize(
    ("jobs", "circle"),
    [
        ("{a: {run: x, needs: [a]}}", "a → a"),
        (
            "{a: {run: x, needs: [b]}, b: {run: x, needs: [c]}, c: {run: x, needs: [b]}}",
            "b → c → b",
        ),
    ],
)
def test_jobs_that_wait_for_each_other_are_named(jobs, circle):
    pipeline = document("Pipeline", "p", f"{{jobs: {jobs}}}")
    (problem,) = check_project({"f.yaml": pipeline}).problems
    assert problem.message == f"jobs wait for each other: {circle}"


def test_services_may_call_each_other_in_a_circle():
    a, b = (document("Service", n, f"{{command: [x], needs: [{m}]}}") for n, m in ("ab", "ba"))
    assert said(a, b) == []


def test_an_after_that_comes_from_a_base_may_not_form_a_circle():
    found = said(
        document("Environment", "one", "{after: two}"),
        document("Environment", "two", "{base: one}"),
    )
    assert len(found) == 1
    assert "environments come after each other: " in found[0]


def test_deploy_jobs_need_only_each_other():
    spec = "{command: [x], preDeploy: [{name: a, run: x}, {name: b, run: x, needs: [a]}, {name: a, run: x, needs: [t]}]}"
    found = said(document("Service", "s", spec))
    assert len(found) == 2
    assert "spec.preDeploy[2].name: another job of `preDeploy` is already called `a`" in found[0]
    assert "spec.preDeploy[2].needs[0]: no job is called `t`" in found[1]


def test_a_wrong_schedule_is_shown_at_its_place():
    text = b"""\
apiVersion: andon/v1
kind: Pipeline
metadata: { name: shop }
spec:
  schedule:
    - cron: "0 0 30 2 *"
      timezone: Europe/Berlin
    - cron: "61 * * * *"
      timezone: Europe/Belrin
  jobs:
    unit: { run: "true", needs: [sweep] }
    sweep: { run: "true", always: true }
"""
    told = [str(problem) for problem in check_project({"andon.yaml": text}).problems]
    assert [one.split(": ")[:2] for one in told] == [
        ["andon.yaml:11:34", "spec.jobs.unit.needs[0]"],
        ["andon.yaml:6:13", "spec.schedule[0].cron"],
        ["andon.yaml:8:13", "spec.schedule[1].cron"],
        ["andon.yaml:9:17", "spec.schedule[1].timezone"],
    ]
    assert "never fires" in told[1]
    assert "expected 0 to 59" in told[2]
    assert "did you mean `Europe/Berlin`?" in told[3]


def test_every_wrong_approver_is_shown_at_its_place():
    text = b"""\
apiVersion: andon/v1
kind: Environment
metadata: { name: prod }
spec:
  approvals:
    count: 3
    people:
      - ann
      - "person:"
      - group:sre
      - team:sre
"""
    pipeline = document("Pipeline", "p", "{jobs: {unit: {run: x}}}")
    problems = check_project({"andon.yaml": text, "p.yaml": pipeline}).problems
    assert [str(problem).split(": ")[:2] for problem in problems] == [
        ["andon.yaml:8:9", "spec.approvals.people[0]"],
        ["andon.yaml:9:9", "spec.approvals.people[1]"],
        ["andon.yaml:10:9", "spec.approvals.people[2]"],
    ]
    assert problems[0].message == "expected `team:<name>` or `person:<name>`, found `ann`"
    assert problems[0].hint == "`person:ann`, or `team:ann` if it is a team"


@pytest.mark.parametrize(
    ("people", "wrong"),
    [
        ("[person:ann]", True),
        ("[person:ann, person:ann]", True),
        ("[person:ann, person:bob]", False),
        ("[person:ann, team:sre]", False),
        ("[]", False),
    ],
)
def test_more_approvals_than_people_who_may_give_them_are_a_problem(people, wrong):
    found = said(document("Environment", "prod", f"{{approvals: {{count: 2, people: {people}}}}}"))
    assert bool(found) == wrong
    assert not wrong or "spec.approvals.count: expected at most 1" in found[0]


SECRET = "{command: [x], secrets: {DB: db}"


@pytest.mark.parametrize(
    ("documents", "where"),
    [
        ((document("Service", "shop", SECRET + ", config: {DB: x}}"),), "`config`"),
        (
            (
                document("Service", "shop", SECRET + "}"),
                document("Environment", "prod", "{config: {DB: x}}"),
            ),
            "`config of Environment prod`",
        ),
        (
            (
                document("Service", "shop", SECRET + "}"),
                document("Environment", "prod", "{services: {shop: {config: {DB: x}}}}"),
            ),
            "`config of Environment prod`",
        ),
    ],
)
def test_a_variable_is_a_secret_or_in_clear(documents: tuple[bytes, ...], where: str):
    (problem,) = said(*documents)
    assert problem.startswith("f.yaml:9:"), problem
    assert f"`DB` is set by {where}, too" in problem
    assert "spec.secrets.DB" in problem


def test_variables_of_jobs_do_not_clash_either():
    job = "{name: j, run: x, env: {DB: x}, secrets: {DB: db}}"
    (problem,) = said(document("Service", "shop", "{command: [x], postDeploy: [" + job + "]}"))
    assert "spec.postDeploy[0].secrets.DB" in problem
    other = document("Service", "shop", "{command: [x], config: {DB: x}}")
    assert said(other, document("Service", "pay", SECRET + "}")) == []


@pytest.mark.parametrize("variable", ["PORT", "ANDON_RUN"])
def test_variables_of_our_own_are_no_secrets(variable: str):
    service = document("Service", "shop", "{command: [x], secrets: {" + variable + ": db}}")
    (problem,) = said(service)
    assert f"`{variable}` is set by Andon itself" in problem


def test_no_environment_is_called_as_the_place_of_secrets_for_builds():
    (problem,) = said(document("Environment", "pipelines", "{}"))
    assert "no Environment can be called `pipelines`" in problem
