"""``andon tests split`` and ``andon tests select`` in a work tree."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from andon.cli.run import run

FILES = {
    "shop/__init__.py": "",
    "shop/cart.py": "",
    "shop/mail.py": "",
    "tests/test_cart.py": "import shop.cart\n",
    "tests/test_mail.py": "import shop.mail\n",
}
HISTORY: dict[str, Any] = {
    "tests": {
        "tests.test_cart::test_a": {"failed": 0, "failing": False, "seconds": 5},
        "tests.test_mail::test_b": {"failed": 2, "failing": False, "seconds": 2},
    },
    "faulty": [
        {"change": "c1", "paths": ["shop/mail.py"], "tests": ["tests.test_mail::test_b"]},
        {"change": "c2", "paths": ["shop/cart.py"], "tests": ["tests.test_mail::test_b"]},
    ],
    "covered": [],
    "changed": ["shop/mail.py"],
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in ("ANDON_SHARD", "ANDON_SHARDS", "ANDON_TEST_DURATIONS", "ANDON_EVIDENCE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def in_job(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tree / "handed.json").write_text(json.dumps(HISTORY))
    monkeypatch.setenv("ANDON_TEST_DURATIONS", "handed.json")
    monkeypatch.setenv("ANDON_SHARDS", "2")
    return tree


def git(tree: Path, *arguments: str) -> None:
    who = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(tree), *who, *arguments], check=True, capture_output=True)


def test_shards_share_out_the_lines_of_standard_input(
    in_job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = []
    for shard in ("1", "2"):
        monkeypatch.setenv("ANDON_SHARD", shard)
        monkeypatch.setattr(sys, "stdin", io.StringIO("tests/test_cart.py\ntests/test_mail.py\n\n"))
        assert run(["tests", "split"]) == 0
        shares.append(capsys.readouterr().out.splitlines())
    assert shares == [["tests/test_cart.py"], ["tests/test_mail.py"]]


def test_the_durations_are_found_from_a_folder_of_the_work_tree(
    in_job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(in_job / "tests")
    assert run(["tests", "split", "tests/test_cart.py", "--shard", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == 5.0


def test_a_shard_without_the_durations_of_the_others_refuses(
    in_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_job / "handed.json").unlink()
    assert run(["tests", "split", "a", "--shard", "1"]) == 4
    assert "lose tests" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--shard", "3", "--shards", "2"),
        ("--shard", "0", "--shards", "2"),
        ("--shard", "1", "--shards", "0"),
        (),
    ],
)
def test_a_shard_that_is_none_is_refused(
    tree: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tests", "split", "a", *arguments]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["[", "[]", '{"a": "fast"}', '{"tests": {"a": {}}}'])
def test_durations_that_are_none_are_refused(
    tree: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "d.json").write_text(text)
    asked = ("--shard", "1", "--shards", "1", "--durations", "d.json")
    assert run(["tests", "split", "a", *asked]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_what_is_not_committed_is_part_of_the_change(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tree, "init", "--quiet")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "-m", "one")
    (tree / "shop/mail.py").write_text("X = 1\n")
    assert run(["tests", "select", "--since", "HEAD"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["tests/test_mail.py", "tests/test_cart.py"]
    assert "1 of 2 can be affected" in said.err
    assert "not known" in said.err
    assert run(["tests", "select", "--since", "--output=x"]) == 2
    assert not (tree / "x").exists()


def test_in_a_job_the_change_and_the_risk_are_what_andon_handed_it(
    in_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tests", "select"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["tests/test_mail.py", "tests/test_cart.py"]
    assert "of 2 tests that changes broke it would have chosen 1" in said.err
    assert "1 of 2 such changes wholly (1% to 99%" in said.err


def test_leaving_tests_out_is_evidence_of_another_name(
    in_job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANDON_EVIDENCE", "tests")
    assert run(["tests", "select", "--only-affected"]) == 2
    assert "cannot be Evidence for tests" in capsys.readouterr().err
    monkeypatch.setenv("ANDON_EVIDENCE", "tests-selected")
    assert run(["tests", "select", "--only-affected"]) == 0
    assert capsys.readouterr().out == "tests/test_mail.py\n"


def test_where_the_change_is_not_known_everything_may_be_affected(
    in_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_job / "handed.json").write_text(json.dumps({**HISTORY, "changed": []}))
    assert run(["tests", "select"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["tests/test_mail.py", "tests/test_cart.py"]
    assert "2 of 2 can be affected: what the change touches is not known" in said.err
