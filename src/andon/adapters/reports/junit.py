"""JUnit XML, as pytest, Surefire, Jest, go-junit-report and their like write it.

They agree on ``testcase`` with ``name``, ``classname`` and ``time``, and on ``failure``, ``error`` and
``skipped`` inside it. Surefire adds ``flakyFailure`` and ``flakyError`` for a test that passed at another
try, GoogleTest ``status="notrun"``; Jest often has no ``classname`` and the file with the suite.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
from typing import BinaryIO

import msgspec

from andon.adapters.reports.xml import read_xml
from andon.api.v1.actions import CaseDone, TestsDone
from andon.kernel.errors import InvalidDocument

MOST_FAILURES = 200
MOST_CASES = 200_000
"""So many tests of a job are kept one by one; all are counted."""
LONGEST_ID = 500
_LONGEST_MESSAGE = 300
_STATES = {"skipped": "skipped", "failure": "failed", "error": "error"}
_WORSE = ("passed", "skipped", "failed", "error")
_FLAKY = {"flakyFailure", "flakyError"}
_FAILED_AT_EVERY_TRY = {"rerunFailure", "rerunError"}
_NOT_RUN = {"notrun", "disabled", "skipped"}
_MOST_SECONDS = 1e9


class Cases:
    """All tests of a job's reports: counted, and kept as a blob."""

    def __init__(self) -> None:
        self.declared = 0
        self.kept = 0
        self._counts = dict.fromkeys(_WORSE, 0)
        self._seconds = 0.0
        self._failures: list[CaseDone] = []
        self._flaky: list[str] = []
        self._times: dict[str, int] = {}
        self._bytes = io.BytesIO()
        self._lines = gzip.GzipFile(fileobj=self._bytes, mode="wb", compresslevel=3, mtime=0)
        self._encoder = msgspec.json.Encoder()

    @property
    def seen(self) -> int:
        """How many there are."""
        return sum(self._counts.values())

    def add(self, case: CaseDone) -> None:
        """Count a test, and keep it under an id of its own."""
        self._counts[case.state] += 1
        self._seconds += case.seconds
        if self.kept >= MOST_CASES and case.state in ("passed", "skipped"):
            return
        case = self._named(case)
        if case.state in ("failed", "error") and len(self._failures) < MOST_FAILURES:
            self._failures.append(case)
        if case.flaky and len(self._flaky) < MOST_FAILURES:
            self._flaky.append(case.id)
        if self.kept < MOST_CASES:
            self.kept += 1
            self._lines.write(self._encoder.encode(case) + b"\n")

    def _named(self, case: CaseDone) -> CaseDone:
        times = self._times.get(case.id, 0) + 1
        if times > 1 or len(self._times) < MOST_CASES:
            self._times[case.id] = times
        return case if times == 1 else msgspec.structs.replace(case, id=f"{case.id}#{times}")

    def done(self) -> tuple[TestsDone, bytes]:
        """Return what they say, without the blob, and the blob."""
        self._lines.close()
        tests = TestsDone(
            passed=self._counts["passed"],
            failed=self._counts["failed"] + self._counts["error"],
            skipped=self._counts["skipped"],
            seconds=round(self._seconds, 6),
            failures=tuple(self._failures),
            declared=max(self.declared, self.seen),
            flaky=tuple(self._flaky),
        )
        return tests, self._bytes.getvalue()


def read_junit(file: BinaryIO, cases: Cases) -> None:
    """Add the tests of a report.

    Raises:
        InvalidDocument: It cannot be read to its end; tests read until then were added.
    """
    before, reader = cases.seen, _Reader(cases)
    try:
        read_xml(file, reader.begin, reader.end, reader.text)
        if not reader.is_one:
            raise InvalidDocument("is XML, but has no <testsuite>")
    finally:
        cases.declared += max(reader.declared, cases.seen - before)


class _Reader:
    def __init__(self, cases: Cases) -> None:
        self._cases = cases
        self._suites: list[dict[str, str]] = []
        self._case: dict[str, str] | None = None
        self._state = "passed"
        self._message = ""
        self._flaky = False
        self._inside = ""
        self._words: list[str] = []
        self.declared = 0
        self.is_one = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self.is_one = self.is_one or name in ("testsuite", "testsuites")
        if name == "testsuite":
            if not any("tests" in suite for suite in self._suites):
                self.declared += _count(attributes.get("tests", ""))
            self._suites.append(_about_suite(attributes))
        elif name == "testcase":
            self._case, self._message, self._flaky = attributes, "", False
            not_run = attributes.get("status", "").lower() in _NOT_RUN
            self._state = "skipped" if not_run else "passed"
        elif self._case is not None and not self._inside:
            self._begin_result(name, attributes)

    def _begin_result(self, name: str, attributes: dict[str, str]) -> None:
        if name in _FLAKY:
            self._flaky = True
        state = "failed" if name in _FAILED_AT_EVERY_TRY else _STATES.get(name)
        if state is None:
            return
        if _WORSE.index(state) > _WORSE.index(self._state):
            self._state = state
            self._message = attributes.get("message", "") or attributes.get("type", "")
            if not attributes.get("message"):
                self._inside = name

    def text(self, data: str) -> None:
        if self._inside and len(self._words) < 64:
            self._words.append(data[:_LONGEST_MESSAGE])

    def end(self, name: str) -> None:
        if name == self._inside:
            self._message = _first_line("".join(self._words)) or self._message
            self._inside, self._words = "", []
        elif name == "testsuite" and self._suites:
            self._suites.pop()
        elif name == "testcase" and self._case is not None:
            self._cases.add(self._done(self._case))
            self._case = None

    def _done(self, about: dict[str, str]) -> CaseDone:
        suite = self._suites[-1] if self._suites else {}
        group = about.get("classname") or about.get("class") or suite.get("name", "")
        file = about.get("file") or suite.get("file") or suite.get("filepath", "")
        return CaseDone(
            id=_id(group, about.get("name", "")),
            state=self._state,
            seconds=seconds(about.get("time", "") or about.get("duration", "")),
            message=_plain(_first_line(self._message))[:_LONGEST_MESSAGE],
            file=_plain(file)[:_LONGEST_MESSAGE],
            line=_count(about.get("line", "") or about.get("lineno", "")),
            flaky=self._flaky and self._state == "passed",
        )


def _about_suite(attributes: dict[str, str]) -> dict[str, str]:
    return {
        key: attributes[key][: LONGEST_ID * 2]
        for key in ("name", "file", "filepath", "tests")
        if key in attributes
    }


def _id(group: str, name: str) -> str:
    text = _plain(f"{group}::{name}" if group else name) or "(no name)"
    if len(text) <= LONGEST_ID - 8:  # Room for ``#2``.
        return text
    mark = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{text[: LONGEST_ID - 24]}...{mark}"


def _first_line(text: str) -> str:
    stripped = text[: 64 * _LONGEST_MESSAGE].strip()
    return stripped.splitlines()[0].strip() if stripped else ""


def _plain(text: str) -> str:
    text = text[:65536]
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def seconds(text: str) -> float:
    """Read a duration; 0 where it is none.

    >>> seconds("1,234.5"), seconds("nan"), seconds("-1"), seconds("0.25")
    (1234.5, 0.0, 0.0, 0.25)
    """
    try:
        value = float(text.strip()[:40].replace(",", ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and 0 <= value <= _MOST_SECONDS else 0.0


def _count(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
