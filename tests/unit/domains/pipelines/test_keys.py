"""Keys of jobs change with everything a job depends on, and with nothing else."""

from __future__ import annotations

import msgspec
from msgspec import structs

from andon.api.v1.jobs import JobPlan, SecretRef
from andon.domains.pipelines.keys import declared, with_keys

FILES = {"src/a.py": "1", "src/b.py": "2", "README.md": "3"}
UNIT = JobPlan(name="unit", run="pytest", inputs=("src/**",))
BUILD = JobPlan(name="build", run="make", inputs=("src/a.py",), needs=("unit",))


def key(job: JobPlan, files: dict[str, str] = FILES, beside: tuple[JobPlan, ...] = ()) -> str:
    return {one.name: one.key for one in with_keys((*beside, job), files)}[job.name]


def test_each_declared_file_changes_the_key() -> None:
    assert key(UNIT)
    assert (
        len({key(UNIT), key(UNIT, FILES | {"src/a.py": "9"}), key(UNIT, FILES | {"src/b.py": "9"})})
        == 3
    )


def test_a_file_that_is_new_or_gone_changes_the_key() -> None:
    without = {name: digest for name, digest in FILES.items() if name != "src/b.py"}
    assert len({key(UNIT), key(UNIT, FILES | {"src/c.py": "1"}), key(UNIT, without)}) == 3


def test_other_files_do_not_change_the_key() -> None:
    assert key(UNIT) == key(UNIT, FILES | {"README.md": "9", "docs/a": "1"})


def test_what_the_job_says_changes_the_key_and_where_it_stands_does_not() -> None:
    said = {
        key(structs.replace(UNIT, **change))
        for change in (
            {},
            {"run": "pytest -x"},
            {"env": {"A": "1"}},
            {"network": True},
            {"image": "x@sha256:1"},
            {"values": {"PYTHON": "3.11"}},
        )
    }
    assert len(said) == 6
    assert key(UNIT) == key(structs.replace(UNIT, origin="andon.yaml:99"))


def test_what_is_needed_changes_the_key() -> None:
    plain = key(BUILD, beside=(UNIT,))
    assert plain
    assert plain != key(BUILD, FILES | {"src/b.py": "9"}, beside=(UNIT,))


def test_a_job_that_needs_one_without_a_key_has_none() -> None:
    assert key(BUILD, beside=(JobPlan(name="unit", run="date"),)) == ""


def test_what_no_file_says_leaves_no_key() -> None:
    secret = {"TOKEN": SecretRef(name="t", environment="pipelines")}
    assert key(structs.replace(UNIT, secrets=secret)) == ""
    assert key(structs.replace(UNIT, always=True)) == ""
    assert key(structs.replace(UNIT, inputs=("src/**", "scr/*"))) == ""
    assert with_keys((UNIT,), FILES, packed=("unit",))[0].key == ""


def test_jobs_that_need_each_other_have_none() -> None:
    one = structs.replace(UNIT, needs=("build",))
    assert {job.key for job in with_keys((one, BUILD), FILES)} == {""}


def test_only_declared_files_are_kept() -> None:
    assert declared([("src/*.py",), ("README.md",)], FILES | {"x": "1"}) == FILES


def test_a_plan_that_was_stored_has_the_same_key() -> None:
    stored = msgspec.json.decode(msgspec.json.encode(UNIT), type=JobPlan)
    assert key(stored) == key(UNIT)
