"""Reports: whatever a job leaves is read or refused in a sentence, and never takes much."""

from __future__ import annotations

import gzip
import json
import tempfile
import tracemalloc
from pathlib import Path

import msgspec
from hypothesis import given
from material import every, mutated

from andon.adapters.reports import ReportsRead, read_reports
from andon.api.v1.actions import CaseDone
from andon.api.v1.jobs import ReportsPlan

MOST_MEMORY_BYTES = 100 << 20
PIECES = [
    b"<testsuite>", b"</testsuite>", b"<testcase name='x'>", b"</testcase>", b"<failure>", b"<error/>",
    b"<skipped/>", b"<!DOCTYPE a [", b"<!ENTITY x 'y'>", b"]>", b"&x;", b"&#0;", b"<![CDATA[", b"]]>", b"<!--",
    b"<coverage>", b"<class filename='../x'>", b"<line number='9' hits='1'/>", b"SF:", b"DA:1,1\n", b"\xff\xfe",
    b"BRDA:1,0,0,1\n", b"end_of_record\n", b"NaN", b"1e999", b"99999999999999999999", b"-1", b"{", b"[", b'"stats"',
]  # fmt: skip


KINDS = (
    ReportsPlan(junit=("report",)),
    ReportsPlan(coverage=("report",)),
    ReportsPlan(benchmark=("report",)),
)


def check(data: bytes) -> int:
    """Read the same bytes as a report of every kind; return as how many they are good."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        (tree / "report").write_bytes(data)
        good = sum(check_kind(tree, plan) for plan in KINDS)
        assert [path.name for path in tree.iterdir()] == ["report"]
    return good


def check_kind(tree: Path, plan: ReportsPlan) -> bool:
    blobs = dict[str, bytes]()

    def put(blob: bytes) -> str:
        blobs[str(len(blobs))] = blob
        return str(len(blobs) - 1)

    read = read_reports(tree, plan, put)
    for problem in read.problems:
        assert len(problem) < 500
        assert problem.isprintable()
    assert json.loads(json.dumps(msgspec.to_builtins(read), allow_nan=False))
    if read.tests is not None:
        check_tests(read, blobs)
    if read.coverage is not None:
        assert 0 <= read.coverage.covered <= read.coverage.lines
        assert 0 <= read.coverage.branches_covered <= read.coverage.branches
    return not read.problems


def check_tests(read: ReportsRead, blobs: dict[str, bytes]) -> None:
    tests = read.tests
    assert tests is not None
    lines = gzip.decompress(blobs[tests.cases]).splitlines() if tests.cases else []
    cases = [msgspec.json.decode(line, type=CaseDone) for line in lines]
    assert len(cases) == tests.passed + tests.failed + tests.skipped <= tests.declared
    for case in cases:
        assert 0 < len(case.id) <= 500
        assert (case.id + case.message + case.file).isprintable()
        assert case.seconds >= 0


@every("reports")
def test_what_the_corpus_holds_is_read_or_refused(path: Path) -> None:
    tracemalloc.start()
    try:
        good = check(path.read_bytes())
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES
    finally:
        tracemalloc.stop()
    assert good == path.name.startswith("good")


@given(mutated("reports", PIECES))
def test_whatever_is_left_is_read_or_refused(data: bytes) -> None:
    check(data)
