"""Which tests a change can affect: they run first, and the rest after.

The order of a suite changes nothing of what it says. To leave the rest out does: its Evidence has a name
of its own, ``tests-selected``, and no environment takes it for ``tests``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from andon.calc.intervals import exact_interval
from andon.domains.pipelines.imports import Imports
from andon.domains.pipelines.split import words_of

SELECTED = "tests-selected"
"""The check that a suite is Evidence for where only affected tests ran."""
_PROSE = (".md", ".rst", ".adoc")
_FAR = 1 << 30


class Past(Struct, frozen=True, kw_only=True):
    """What is known of a test, for the order.

    Args:
        failed: At how many commits it failed, or was flaky.
        failing: Whether it fails now.
        seconds: Its usual duration.
    """

    failed: int = 0
    failing: bool = False
    seconds: float = 0


class Selection(Struct, frozen=True, kw_only=True):
    """An order of tests.

    Args:
        affected: Tests that the change can affect, the nearest first.
        rest: All others, in the order given but for those that failed lately.
        why: Why everything may be affected; empty: not everything may.
    """

    affected: tuple[str, ...]
    rest: tuple[str, ...]
    why: str = ""


class Faulty(Struct, frozen=True, kw_only=True):
    """A change of the past that broke tests.

    Args:
        paths: What it touched.
        tests: Ids of tests that passed before and failed with it.
    """

    paths: tuple[str, ...]
    tests: tuple[str, ...]


class Risk(Struct, frozen=True, kw_only=True):
    """How well the selection would have done in the past.

    Args:
        failures: Tests that changes broke.
        contained: Those the selection for their change would have contained.
        changes: Changes that broke tests.
        caught: Those of which it would have contained every broken test.
        low: Lower bound of the share of changes that are caught so, exact, 19 times of 20.
        high: Upper bound.
    """

    failures: int
    contained: int
    changes: int
    caught: int
    low: float
    high: float


def select(
    tests: Sequence[str],
    changed: Iterable[str] | None,
    imports: Imports,
    *,
    covered: frozenset[str] = frozenset(),
    past: Mapping[str, Past] | None = None,
) -> Selection:
    """Put the tests first that a change can affect.

    Args:
        tests: Files of tests, or tests in files (``file::test``).
        changed: Paths the change touches; None: not known, and then everything may be affected.
        imports: The graph of imports.
        covered: Files that the suite went through when coverage was last recorded.
        past: What is known of tests, by what ``tests`` calls them.
    """
    tests = list(dict.fromkeys(tests))
    past = past or {}
    near, why = _near(tests, sorted(set(changed or ())), imports, covered)
    if changed is None:
        why = "what the change touches is not known"

    def by_past(test: str) -> tuple[bool, int, float]:
        known = past.get(test, Past())
        return not known.failing, -known.failed, known.seconds

    affected = [test for test in tests if near.get(_file(test), _FAR) < _FAR or why]
    affected.sort(key=lambda test: (near.get(_file(test), _FAR), *by_past(test)))
    chosen = set(affected)
    rest = [test for test in tests if test not in chosen]
    rest.sort(key=lambda test: by_past(test)[:2])
    return Selection(affected=tuple(affected), rest=tuple(rest), why=why)


def _near(
    tests: Sequence[str], changed: Sequence[str], imports: Imports, covered: frozenset[str]
) -> tuple[dict[str, int], str]:
    files = {_file(test) for test in tests}
    near: dict[str, int] = dict.fromkeys(files & imports.opaque, 1) if changed else {}
    why = ""
    for path in changed:
        found = {
            file: distance for file, distance in imports.distances(path).items() if file in files
        }
        for file, distance in found.items():
            near[file] = min(distance, near.get(file, _FAR))
        if not found and not why:
            why = _untraced(path, path in imports.files, covered)
    return near, why


def _untraced(path: str, there: bool, covered: frozenset[str]) -> str:
    """Say why a file that no test is seen to reach may affect them all; empty: it affects none."""
    if path in covered:
        return f"tests went through {path}, though none is seen to import it"
    if not path.endswith((".py", *_PROSE)):
        return f"no test is seen to use {path}, which is no Python"
    if path.endswith(".py") and not there:
        return f"{path} is gone, and who imported it is not known"
    return ""


def _file(test: str) -> str:
    return posixpath.normpath(test.partition("::")[0])


def risk(tests: Sequence[str], faulty: Iterable[Faulty], imports: Imports) -> Risk:
    """Measure what the selection would have missed, on changes that broke tests.

    The imports are those of today, and only tests that are there today count. Where there is doubt, the
    selection is taken to have missed: files that are gone by now lead to no test, and recorded coverage
    is left out, as it knows today what it did not know then.

    Args:
        tests: All tests.
        faulty: Changes that broke tests.
        imports: The graph of imports.
    """
    failures = contained = changes = caught = 0
    there = {words_of(test) for test in tests}
    for one in faulty:
        broken = [words_of(test) for test in one.tests if _is_among(words_of(test), there)]
        if not broken:
            continue
        paths = [path for path in one.paths if path in imports.files or not path.endswith(".py")]
        chosen = {words_of(test) for test in select(tests, paths, imports).affected}
        hits = sum(_is_among(words, chosen) for words in broken)
        failures += len(broken)
        contained += hits
        changes += 1
        caught += hits == len(broken)
    low, high = exact_interval(caught, changes)
    return Risk(
        failures=failures, contained=contained, changes=changes, caught=caught, low=low, high=high
    )


def _is_among(words: tuple[str, ...], chosen: set[tuple[str, ...]]) -> bool:
    return any(words[:length] in chosen for length in range(1, len(words) + 1))
