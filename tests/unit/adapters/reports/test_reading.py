"""Reports of a job, in the dialects of their makers."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import msgspec
import pytest

from andon.adapters.reports import ReportsRead, read_reports, xml
from andon.api.v1.actions import CaseDone, CoverageDone, TestsDone
from andon.api.v1.jobs import ReportsPlan
from andon.kernel.digest import sha256

CORPUS = Path(__file__).parents[3] / "fuzz" / "corpus" / "reports"


class Blobs(dict[str, bytes]):
    def put(self, data: bytes) -> str:
        self[sha256(data)] = data
        return sha256(data)

    def cases(self, tests: TestsDone | None) -> list[CaseDone]:
        assert tests is not None
        lines = gzip.decompress(self[tests.cases]).splitlines()
        return [msgspec.json.decode(line, type=CaseDone) for line in lines]

    def files(self, coverage: CoverageDone | None) -> object:
        assert coverage is not None
        return json.loads(self[coverage.files])


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


def read(tree: Path, blobs: Blobs, *secrets: str, **patterns: tuple[str, ...]) -> ReportsRead:
    return read_reports(tree, ReportsPlan(**patterns), blobs.put, secrets=secrets)


def corpus(name: str, blobs: Blobs) -> list[CaseDone]:
    found = read(CORPUS, blobs, junit=(name,))
    assert found.problems == ()
    return blobs.cases(found.tests)


def test_pytest_tells_failures_errors_and_skips(blobs: Blobs) -> None:
    found = read(CORPUS, blobs, junit=("good-pytest.xml",))
    assert found.tests is not None
    assert (found.tests.passed, found.tests.failed, found.tests.skipped) == (2, 2, 1)
    assert [case.id for case in found.tests.failures] == [
        "tests.test_cart::test_discount",
        "tests.test_cart::test_closes#2",
    ]
    assert found.tests.failures[0].message == "AssertionError: assert 90 == 91"
    assert blobs.cases(found.tests)[0].id == "tests.test_cart.TestTotal::test_adds[1-2]"


def test_surefire_tells_what_passed_only_at_another_try(blobs: Blobs) -> None:
    adds, ships, pays = corpus("good-surefire.xml", blobs)
    assert (adds.state, adds.seconds) == ("passed", 1234.1)
    assert (ships.state, ships.flaky) == ("passed", True)
    assert (pays.state, pays.flaky) == ("failed", False)
    assert pays.message == "java.lang.AssertionError: expected 1"


def test_jest_names_the_suite_and_the_file(blobs: Blobs) -> None:
    adds, subtracts = corpus("good-jest.xml", blobs)
    assert (adds.id, adds.file) == ("cart::cart adds", "src/cart.test.js")
    assert subtracts.state == "skipped"


def test_go_has_tests_in_tests(blobs: Blobs) -> None:
    add, negative = corpus("good-go.xml", blobs)
    assert add.id == "example.org/shop::TestAdd"
    assert (negative.state, negative.message) == ("failed", "Failed")


def test_a_test_that_was_switched_off_did_not_pass(blobs: Blobs) -> None:
    adds, pays = corpus("good-gtest.xml", blobs)
    assert (adds.state, adds.file, adds.line) == ("passed", "cart.cc", 4)
    assert pays.state == "skipped"


def test_a_report_cut_short_is_a_problem_and_says_what_was_seen(blobs: Blobs) -> None:
    found = read(CORPUS, blobs, junit=("cut-short.xml",))
    assert found.tests is not None
    assert (found.tests.passed, found.tests.declared) == (1, 3)
    assert "cut-short.xml" in found.problems[0]


@pytest.mark.parametrize("name", ["entities", "entity-of-elsewhere", "defaults"])
def test_xml_declares_nothing(name: str, blobs: Blobs) -> None:
    found = read(CORPUS, blobs, junit=(f"{name}.xml",))
    assert found.problems == (f"{name}.xml: declares entities or attributes of its own",)
    assert found.tests == TestsDone()


def test_an_attribute_without_end_is_refused_before_it_is_kept(
    tmp_path: Path, blobs: Blobs
) -> None:
    with (tmp_path / "a.xml").open("wb") as file:
        file.write(b'<testsuite name="')
        file.truncate(xml.LONGEST_TOKEN_BYTES + (1 << 20))
        file.seek(17)
        for _ in range(5):
            file.write(b"x" * (1 << 20))
    assert "longer than 4 MiB" in read(tmp_path, blobs, junit=("a.xml",)).problems[0]


def test_coverage_of_a_tree_that_lay_elsewhere_is_of_this_one(tmp_path: Path, blobs: Blobs) -> None:
    (tmp_path / "src" / "shop").mkdir(parents=True)
    (tmp_path / "src" / "shop" / "cart.py").touch()
    for name in ("good-cobertura.xml", "good.lcov"):
        (tmp_path / name).write_bytes((CORPUS / name).read_bytes())
    found = read(tmp_path, blobs, coverage=("good-cobertura.xml",))
    assert found.problems == ()
    assert blobs.files(found.coverage) == {"src/shop/cart.py": [[1, 2], [4, 4]]}
    both = read(tmp_path, blobs, coverage=("good*",)).coverage
    assert both is not None
    assert (both.lines, both.covered, both.branches, both.branches_covered) == (5, 4, 4, 2)


def test_benchmarks_are_seconds(blobs: Blobs) -> None:
    found = read(CORPUS, blobs, benchmark=("good-*.json",))
    assert found.problems == ()
    assert found.benchmarks == pytest.approx(
        {"bench/test_cart.py::test_add": 2e-6, "BM_Add/8": 2e-5, "startup": 0.25, "query": 1}
    )


def test_what_is_named_and_missing_is_a_problem(tmp_path: Path, blobs: Blobs) -> None:
    found = read(tmp_path, blobs, junit=("a/*.xml", "../b.xml"), coverage=("/etc/passwd",))
    assert found.tests is None
    assert found.problems == (
        "no file is at a/*.xml",
        "the pattern ../b.xml leads out of the work tree",
        "the pattern /etc/passwd is not relative to the work tree",
    )


def test_links_are_not_followed_wherever_they_lead(tmp_path: Path, blobs: Blobs) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "in").mkdir(parents=True)
    outside.mkdir()
    for place in (outside, tree / "in"):
        (place / "r.xml").write_bytes((CORPUS / "good-go.xml").read_bytes())
    (tree / "a.xml").symlink_to(outside / "r.xml")
    (tree / "folder").symlink_to(outside)
    (tree / "loop").symlink_to(tree)
    found = read(tree, blobs, junit=("a.xml", "folder/r.xml", "**/*.xml"))
    assert found.tests is not None
    assert found.tests.passed == 1
    assert found.problems == (
        "no file is at folder/r.xml",
        "a.xml: leads over a link; reports are read from files only",
    )


def test_a_pipe_that_nobody_writes_to_keeps_nobody_waiting(tmp_path: Path, blobs: Blobs) -> None:
    os.mkfifo(tmp_path / "r.xml")
    assert read(tmp_path, blobs, junit=("*.xml",)).problems == ("r.xml: is no ordinary file",)


def test_git_keeps_its_folder_to_itself(tmp_path: Path, blobs: Blobs) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "r.xml").touch()
    assert read(tmp_path, blobs, junit=("**/*.xml",)).problems == ("no file is at **/*.xml",)


@pytest.mark.parametrize("spelled", ["p&quot;ssword-of-the-shop", 'p"ssword-of-the-shop'])
def test_secrets_are_masked_however_xml_spells_them(
    spelled: str, tmp_path: Path, blobs: Blobs
) -> None:
    case = f"<testsuite><testcase name='{spelled}'><error>{spelled}</error></testcase></testsuite>"
    (tmp_path / "r.xml").write_text(case)
    found = read(tmp_path, blobs, 'p"ssword-of-the-shop', junit=("r.xml",))
    assert found.problems == ()
    assert [(one.id, one.message) for one in blobs.cases(found.tests)] == [("***", "***")]
    assert "ssword" not in repr(found)


def test_tests_of_the_same_name_are_told_apart(tmp_path: Path, blobs: Blobs) -> None:
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text("<testsuite name='s'><testcase name='t'/></testsuite>")
    found = read(tmp_path, blobs, junit=("*.xml",))
    assert [case.id for case in blobs.cases(found.tests)] == ["s::t", "s::t#2"]


def test_the_same_reports_make_the_same_blob(blobs: Blobs) -> None:
    first = read(CORPUS, blobs, junit=("good-*.xml",)).tests
    assert first == read(CORPUS, blobs, junit=("good-*.xml",)).tests
