"""Files as people write them, and what becomes of them.

After a change on purpose: ``ANDON_GOLDEN=write pytest tests/unit/domains/pipelines/foreign/test_golden.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import ryaml

from andon.api.foreign import read_foreign
from andon.api.project import check_project
from andon.domains.pipelines.foreign.carrying import Imported
from andon.domains.pipelines.foreign.github import import_github
from andon.domains.pipelines.foreign.gitlab import import_gitlab

FOLDER = Path(__file__).parent / "golden"


def bring(engine: str, data: bytes) -> Imported:
    documents = read_foreign(data, "ci.yml")
    if engine == "github":
        return import_github(documents[0], "ci.yml")
    return import_gitlab(documents, "ci.yml")


@pytest.mark.parametrize("engine", ["github", "gitlab"])
def test_a_real_file_becomes_what_it_became(engine):
    imported = bring(engine, (FOLDER / f"{engine}.yml").read_bytes())
    report = "".join(
        f"{note.line} {note.became} {note.field}: {note.why}\n" for note in imported.notes
    )
    assert check_project({"a": imported.text.encode()}).problems == ()
    for name, text in ((f"{engine}.yaml", imported.text), (f"{engine}.txt", report)):
        if os.environ.get("ANDON_GOLDEN") == "write":
            (FOLDER / name).write_text(text)
        assert (FOLDER / name).read_text() == text


def job(engine: str, text: str, name: str = "a") -> dict:
    return ryaml.loads(bring(engine, text.encode()).text)["spec"]["jobs"][name]


GITHUB = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    "


def test_an_unknown_action_fails_and_says_what_it_was():
    made = job("github", GITHUB + "steps: [{run: make}, {uses: some/scan@v1}]")
    assert "some/scan" in made["steps"][1]["run"]
    assert made["steps"][1]["run"].endswith("exit 1")


def test_a_job_whose_condition_is_not_known_never_runs():
    made = job("github", GITHUB + "if: needs.b.outputs.x == '1'\n    steps: [{run: rm -rf prod}]")
    assert made["if"] == "false"
    assert job("gitlab", "a: {script: [x], rules: [{if: $SECRET_SWITCH}]}")["if"] == "false"


def test_a_strangers_branch_of_the_same_name_is_not_meant():
    made = job("github", GITHUB + "if: github.ref == 'refs/heads/main'\n    steps: [{run: deploy}]")
    assert made["if"] == 'change.event != "pull-request" && change.branch == "main"'


def test_a_value_in_single_quotes_still_reaches_the_shell():
    text = (
        GITHUB + "strategy: {matrix: {x-y: [1]}}\n    steps: [{run: \"echo 'v${{ matrix.x-y }}'\"}]"
    )
    assert job("github", text)["run"] == "echo 'v'\"${MATRIX_X_Y}\"''"


def test_a_secret_is_named_and_its_value_asked_for():
    made = job("github", GITHUB + "steps: [{run: 'x ${{ secrets.API_KEY }}'}]")
    assert made["run"] == "x ${API_KEY}"
    assert made["secrets"] == {"API_KEY": "api-key"}


def test_needs_in_a_file_with_stages_become_needs_of_all():
    text = "stages: [b, t]\nb1: {stage: b, script: x}\na: {stage: t, script: x}\nc: {stage: t, needs: [], script: x}"
    assert job("gitlab", text)["needs"] == ["b1"]
    assert "needs" not in job("gitlab", text, "c")


def test_a_person_stands_before_a_manual_job():
    text = "a: {script: x, when: manual}"
    assert job("gitlab", text)["needs"] == ["a-consent"]
    assert "approval" in job("gitlab", text, "a-consent")


def test_bash_is_used_where_a_script_needs_it():
    assert job("gitlab", 'a: {script: ["[[ -f b ]]"]}')["run"].startswith("exec bash -eo pipefail")
    assert job("gitlab", 'a: {script: ["[ -f b ]"]}')["run"] == "[ -f b ]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [*a]", "nothing is anchored"),
        ("a: 1\na: 2", "written twice"),
        ("? [a]\n: b", "used as a key"),
        ("a: [1", "not YAML"),
        ("<<: 3", "takes a mapping"),
        ("[" * 300, "nested too deeply"),
        ("a: &a [x,x]\n" + "".join(f"b{n}: &b{n} [{', '.join(['*a' if not n else f'*b{n - 1}'] * 9)}]\n" for n in range(9)), "aliases"),
        ("a: \x00", "null byte"),
    ],
)  # fmt: skip
def test_hostile_yaml_is_refused_in_one_sentence(text, said):
    from andon.kernel.errors import InvalidDocument

    with pytest.raises(InvalidDocument, match=said):
        read_foreign(text.encode(), "ci.yml")


def test_merge_keys_and_references_are_followed():
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}"
    merged = read_foreign(text.encode(), "f")[0].get("b")
    assert merged
    assert {name: node.value for name, node in (merged.fields or {}).items()} == {"x": 1, "y": 3}
