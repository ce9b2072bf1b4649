"""What other engines make of a file, and what we make of it once it is imported.

Their answers were recorded (``engines/record.py``); where we differ on purpose, docs/import.md says why.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from andon.api.foreign import read_foreign
from andon.api.project import read_project
from andon.api.v1.jobs import JobPlan
from andon.api.v1.pipelines import ChangeFacts
from andon.domains.pipelines.expand import expand
from andon.domains.pipelines.foreign.github import import_github
from andon.domains.pipelines.foreign.gitlab import import_gitlab

HERE = Path(__file__).parent / "engines"
ANSWERS = json.loads((HERE / "answers.json").read_text())
PAGE = (Path(__file__).parents[2] / "docs/import.md").read_text()
CASES = [
    (file, situation)
    for file, answers in ANSWERS.items()
    if isinstance(answers, dict)
    for situation in answers
]
EVENTS = {"push": "push", "pull_request": "pull-request"}
ON_PURPOSE = {
    "only-main": "gitlab-ci-local lists jobs whatever `only` says",
    "only-branches": "gitlab-ci-local lists jobs whatever `only` says",
}
"""Jobs for which our answer is another."""


def plans(file: str, situation: str) -> tuple[JobPlan, ...]:
    data = (HERE / file).read_bytes()
    documents = read_foreign(data, file)
    imported = (
        import_github(documents[0], file) if "github" in file else import_gitlab(documents, file)
    )
    event, branch = situation.split()
    facts = ChangeFacts(branch=branch, event=EVENTS[event])
    return expand(read_project({"a": imported.text.encode()}).pipeline, facts)


def runs(file: str, situation: str) -> dict[str, list[JobPlan]]:
    """Return what runs, by the job it was written as."""
    found: dict[str, list[JobPlan]] = {}
    for plan in plans(file, situation):
        if not plan.skip and plan.approval is None:
            found.setdefault(plan.group or plan.name, []).append(plan)
    return found


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def by_act(file: str, situation: str) -> list[tuple[str, list[tuple[str, str]]]]:
    return sorted(
        (said["job"], sorted((name, as_text(value)) for name, value in said["matrix"].items()))
        for said in ANSWERS[file][situation]
    )


@pytest.mark.parametrize(("file", "situation"), [one for one in CASES if "github" in one[0]])
def test_the_same_jobs_with_the_same_matrix_run_as_with_act(file, situation):
    ours = [
        (name, sorted(plan.values.items()))
        for name, several in runs(file, situation).items()
        for plan in several
    ]
    assert sorted(ours) == by_act(file, situation)


@pytest.mark.parametrize(("file", "situation"), [one for one in CASES if "gitlab" in one[0]])
def test_the_same_jobs_with_the_same_matrix_run_as_with_gitlab_ci_local(file, situation):
    ours = [
        (name, list(plan.values.values()))
        for name, several in runs(file, situation).items()
        for plan in several
        if name not in ON_PURPOSE
    ]
    theirs = [_named(said["name"]) for said in ANSWERS[file][situation] if said["when"] != "never"]
    assert sorted(ours) == sorted(one for one in theirs if one[0] not in ON_PURPOSE)


def _named(name: str) -> tuple[str, list[str]]:
    found = re.fullmatch(r"(.*?)(?:: \[(.*)\])?", name)
    assert found
    return found[1].removeprefix("."), found[2].split(",") if found[2] else []


@pytest.mark.parametrize("file", ["gitlab/needs.yml", "gitlab/stages.yml", "gitlab/matrix.yml"])
def test_a_job_waits_for_the_same_jobs_as_with_gitlab_ci_local(file):
    """Ours name every job that is waited for; theirs say it by stages where there are no `needs`."""
    situation = "push main"
    ours = runs(file, situation)
    waits = {name: _ancestors(plans(file, situation), several) for name, several in ours.items()}
    said = {_named(one["name"])[0]: one for one in ANSWERS[file][situation]}
    assert waits == {name: _theirs(name, said) for name in said}


def _ancestors(all_plans: tuple[JobPlan, ...], several: list[JobPlan]) -> set[str]:
    known = {plan.name: plan for plan in all_plans}
    waiting = [need for plan in several for need in plan.needs]
    found: set[str] = set()
    while waiting:
        plan = known[waiting.pop()]
        found.add(plan.group or plan.name)
        waiting += plan.needs
    return found


STAGES = (".pre", "build", "test", "deploy", ".post")


def _theirs(name: str, said: dict[str, dict]) -> set[str]:
    one = said[name]
    earlier = STAGES[: STAGES.index(one["stage"])]
    direct = one.get("needs", [n for n, other in said.items() if other["stage"] in earlier])
    found = {need for need in direct if need in said}
    return found.union(*(_theirs(need, said) for need in found))


@pytest.mark.parametrize("situation", [f"{event} main" for event in EVENTS])
def test_what_needs_a_skipped_job_is_skipped_and_says_by_which_rule(situation):
    skipped = {plan.name: plan.skip for plan in plans("github/skips.yml", situation) if plan.skip}
    ran = {said["job"] for said in ANSWERS["github/skips.yml"][situation]}
    assert not ran & set(skipped)
    assert all(skipped.values())
    if situation.startswith("push"):
        assert "asks" in skipped["follows"]
        assert "follows" in skipped["follows-that"]


def test_differences_on_purpose_are_on_the_page():
    for job, why in ON_PURPOSE.items():
        assert why in " ".join(PAGE.split()), job
