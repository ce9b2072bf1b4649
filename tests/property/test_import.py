"""Nothing of a CI file is dropped silently, and what becomes of it is valid, whatever it says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from andon.api.foreign import read_foreign
from andon.api.problems import field_name
from andon.api.project import check_project
from andon.domains.pipelines.foreign.carrying import Imported
from andon.domains.pipelines.foreign.github import import_github
from andon.domains.pipelines.foreign.gitlab import import_gitlab
from andon.kernel.errors import InvalidDocument

ENGINES = ["github", "gitlab"]
WORD = st.sampled_from(["a", "b-c", "Main", "x_y", "release/**", "docs/**", "**.md", "é"])
TEXT = st.sampled_from(
    [
        "make",
        "echo 'a'\necho b\n",
        "[[ -f a ]]",
        "a: b",
        "",
        "1.5",
        "$CI_COMMIT_SHA",
        "${{",
        "}}",
        "\t",
    ]
)


def bring(engine: str, value: Any) -> Imported:
    documents = read_foreign(json.dumps(value, indent=1, ensure_ascii=False).encode(), "ci.yml")
    if engine == "github":
        return import_github(documents[0], "ci.yml")
    return import_gitlab(documents, "ci.yml")


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    if path and not inside:
        yield path
    for name, below in inside:
        yield from leaves(below, (*path, name))


def changed(value: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    """Yield files in which one leaf is another."""
    for new in ("changed", 7, 1, True, False, "pip", "9 minutes", "bash", None):
        made = copy.deepcopy(value)
        place = made
        for part in path[:-1]:
            place = place[part]
        if place[path[-1]] != new or type(place[path[-1]]) is not type(new):
            place[path[-1]] = new
            yield made


def text_of(engine: str, value: Any) -> str:
    try:
        return bring(engine, value).text
    except InvalidDocument as refused:
        return refused.message


def unaccounted(engine: str, value: Any) -> list[str]:
    try:
        imported = bring(engine, value)
    except InvalidDocument:
        return []
    named = {note.field for note in imported.notes} - {""}
    return [
        field_name(path)
        for path in leaves(value)
        if not any(field_name(path[:length]) in named for length in range(1, len(path) + 1))
        and all(text_of(engine, other) == imported.text for other in changed(value, path))
    ]


def problems(engine: str, value: Any) -> list[str]:
    try:
        imported = bring(engine, value)
    except InvalidDocument as refused:
        return [] if "jobs need each other" in refused.message else [refused.message]
    return [str(one) for one in check_project({"a": imported.text.encode()}).problems]


# --- files that people could write -----------------------------------------------------------------


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={name.replace("_", "-"): one for name, one in fields.items()}
    )


UNKNOWN = {"zzz_unknown": st.sampled_from([1, "a", {"b": ["c"]}])}
STEPS = st.one_of(
    some(name=WORD, run=TEXT, shell=st.sampled_from(["bash", "pwsh", "python"]), id=WORD,
         timeout_minutes=st.integers(1, 9), working_directory=WORD, **UNKNOWN),
    some(run=st.sampled_from(["${{ matrix.py }}", "'${{ matrix.py }}'", "${{ github.actor }}",
                              "${{ secrets.KEY }}", "$GITHUB_OUTPUT", "echo ${{ github.ref_name }}"]),
         env=st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(["1", "${{ matrix.os }}"])),
         **{"if": st.sampled_from(["always()", "matrix.py == '3.11'", "github.event_name == 'push'"])}),
    some(uses=st.just("actions/checkout@v4"), **{"with": some(fetch_depth=st.just(0), path=WORD)}),
    some(uses=st.just("actions/setup-python@v5"),
         **{"with": st.fixed_dictionaries(
             {"python-version": st.sampled_from(["3.12", 3.11, "${{ matrix.py }}"])},
             optional={"cache": st.sampled_from(["pip", "poetry"]), "token": WORD})}),
    some(uses=st.just("actions/cache@v4"), **{"with": st.fixed_dictionaries(
        {"path": st.sampled_from([".cache", "~/.m2"]),
         "key": st.sampled_from(["a-${{ hashFiles('**/x.lock') }}", "plain"])})}),
    some(uses=st.just("org/other@v1"), **{"with": some(a=WORD)}),
)  # fmt: skip
MATRIX = some(
    py=st.lists(st.sampled_from(["3.11", "3.12"]), max_size=2),
    os=st.lists(WORD, max_size=2),
    include=st.lists(st.dictionaries(st.sampled_from(["py", "new"]), WORD, max_size=2), max_size=2),
    exclude=st.lists(
        st.dictionaries(st.sampled_from(["py"]), st.just("3.11"), max_size=1), max_size=1
    ),
)
GITHUB_JOB = some(
    name=WORD, runs_on=st.sampled_from(["ubuntu-latest", ["self-hosted", "gpu"], "${{ matrix.os }}"]),
    needs=st.sampled_from(["one", ["one"], "nowhere"]), strategy=some(
        matrix=MATRIX, fail_fast=st.booleans(), max_parallel=st.integers(1, 4)),
    timeout_minutes=st.sampled_from([1, 30, 99999]), continue_on_error=st.booleans(),
    env=st.dictionaries(st.sampled_from(["A", "B"]), TEXT, max_size=2), outputs=some(a=WORD),
    container=st.sampled_from(["python:3", {"image": "node:22", "options": "--cpus 1"}]),
    services=st.dictionaries(WORD, some(image=st.just("redis:7"), ports=st.just(["6379:6379"]), **UNKNOWN), max_size=1),
    steps=st.lists(STEPS, max_size=3), concurrency=WORD,
    **{"if": st.sampled_from(["github.ref == 'refs/heads/main'", "failure()", "always()"])}, **UNKNOWN,
)  # fmt: skip
GITHUB = some(
    name=WORD, on=st.sampled_from([
        "push", ["push", "pull_request"], {"push": {"branches": ["main"], "tags": ["v*"]}},
        {"push": {"paths": ["src/**"]}, "pull_request": {"paths": ["src/**"]}, "schedule": [{"cron": "1 2 * * *"}]},
        {"workflow_dispatch": {"inputs": {"a": {"type": "string"}}}, "release": None}]),
    env=st.dictionaries(st.sampled_from(["A", "C"]), TEXT, max_size=2),
    permissions=some(contents=WORD), defaults=some(run=some(shell=st.just("bash"), working_directory=WORD)),
    jobs=st.fixed_dictionaries({"one": GITHUB_JOB}, optional={"Two_2": GITHUB_JOB}), **UNKNOWN,
)  # fmt: skip
RULES = st.lists(
    st.fixed_dictionaries({}, optional={
        "if": st.sampled_from(['$CI_COMMIT_BRANCH == "main"', "$CI_COMMIT_TAG", "$CI_MERGE_REQUEST_ID"]),
        "when": st.sampled_from(["never", "manual", "on_success", "delayed"]),
        "changes": st.just(["src/**"]), "allow_failure": st.booleans()}),
    max_size=3)  # fmt: skip
GITLAB_JOB = st.fixed_dictionaries({}, optional={
    "script": st.one_of(TEXT, st.lists(TEXT, max_size=3)), "before_script": st.lists(TEXT, max_size=1),
    "after_script": st.lists(TEXT, max_size=1), "stage": st.sampled_from(["build", "test", "nowhere"]),
    "needs": st.sampled_from([[], ["one"], [{"job": "one", "artifacts": False}], [{"job": "x", "optional": True}]]),
    "rules": RULES, "only": st.sampled_from([["main"], ["tags"], {"refs": ["/^v.*$/"], "changes": ["a"]}]),
    "parallel": st.sampled_from([3, {"matrix": [{"PY": ["3.11", "3.12"]}]}, {"matrix": [{"A": "1"}, {"A": "2", "B": "3"}]}]),
    "artifacts": st.sampled_from([{"paths": ["dist/"], "expire_in": "2 days", "when": "always"},
                                  {"reports": {"junit": "r.xml", "dotenv": "e"}}]),
    "cache": st.sampled_from([{"key": "k", "paths": ["a"]}, {"key": {"files": ["l"]}, "paths": [".c"], "policy": "pull"}]),
    "image": st.sampled_from(["a:1", {"name": "b", "entrypoint": [""]}, "$IMAGE"]),
    "services": st.sampled_from([["postgres:16"], [{"name": "odd", "alias": "db"}]]),
    "variables": st.dictionaries(st.sampled_from(["V", "W"]), st.sampled_from(["1", "$V/x", "$NONE"])),
    "extends": st.sampled_from([".base", "nowhere"]), "allow_failure": st.sampled_from([True, False, {"exit_codes": 3}]),
    "retry": st.sampled_from([0, 2, {"max": 1, "when": ["script_failure", "odd"]}]),
    "timeout": st.sampled_from(["1h 30m", "soon"]), "interruptible": st.booleans(), "resource_group": WORD,
    "when": st.sampled_from(["manual", "always", "on_failure", "on_success"]), "tags": st.lists(WORD, max_size=1),
    "environment": WORD, "coverage": WORD, "zzz": WORD,
})  # fmt: skip
GITLAB = st.fixed_dictionaries({"one": GITLAB_JOB}, optional={
    "two": GITLAB_JOB, ".base": GITLAB_JOB, "stages": st.sampled_from([["build", "test"], ["test"]]),
    "variables": st.dictionaries(st.sampled_from(["V", "IMAGE"]), st.sampled_from(["1", {"value": "a", "description": "d"}])),
    "default": st.sampled_from([{"image": "c:1"}, {"retry": 1, "interruptible": True}]),
    "include": st.just([{"local": "x.yml"}]), "workflow": st.just({"rules": [{"when": "always"}]}), "zzz": WORD,
})  # fmt: skip
SOME = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)


@SOME
@given(GITHUB)
def test_every_value_of_a_workflow_is_carried_or_named(value):
    assert unaccounted("github", value) == []


@SOME
@given(GITLAB)
def test_every_value_of_a_gitlab_file_is_carried_or_named(value):
    assert unaccounted("gitlab", value) == []


# --- files that nobody would write -----------------------------------------------------------------

VOCABULARY = """
    on push schedule branches paths name env jobs steps run uses with if needs strategy matrix include
    exclude fail-fast services image ports container concurrency group script before_script rules only
    variables parallel artifacts reports junit cache key files extends retry max when default stages
    stage allow_failure timeout timeout-minutes trigger .base one value runs-on continue-on-error tags
""".split()  # noqa: SIM905 - a list of words reads worse
WILD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 99999), TEXT, WORD, st.text(st.characters(exclude_categories=["C"]), max_size=4),
              st.sampled_from(["one", ".base", "actions/cache@v4", "${{ matrix.a }}", "$A", "always()"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(VOCABULARY), inner, max_size=5),
    ),
    max_leaves=25,
)  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@settings(SOME, max_examples=60)
@given(
    jobs=st.dictionaries(st.sampled_from(["one", ".base", "é", "two"]), WILD, max_size=3), rest=WILD
)
def test_whatever_is_imported_is_valid(engine, jobs, rest):
    top = rest if isinstance(rest, dict) else {}
    value = {**top, **({"jobs": jobs} if engine == "github" else jobs)}
    assert problems(engine, value) == []


@SOME
@given(st.one_of(GITHUB.map(lambda v: ("github", v)), GITLAB.map(lambda v: ("gitlab", v))))
def test_what_people_write_becomes_valid(case):
    assert problems(*case) == []
