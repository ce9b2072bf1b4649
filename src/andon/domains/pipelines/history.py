"""What became of tests over many Runs: told from their reports, oldest first.

A test's result counts once for each commit and suite: if it both passed and failed there, it is flaky,
as nothing that it depends on had changed. A suite is a job, with what its matrix chose and without its
shards, among which tests move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from msgspec import Struct, field

from andon.api.v1.actions import CaseDone
from andon.api.v1.jobs import JobPlan

KEPT_DURATIONS = 25
CURRENT_COMMITS = 3
"""A test that ran at none of so many of the newest commits is gone; a Run may break off before it."""
_PASSED, _FAILED = 1, 2
FAILED = frozenset({"failed", "error"})


class Suite(Struct, frozen=True, kw_only=True):
    """The report of one attempt of a job.

    Args:
        name: The job, with what its matrix chose, without its shard.
        commit: What was tested: the sha, or the digest of all that the job depends on.
        change: The Change that brought it.
        run: The Run.
        at: When the Run was made, in seconds since the Unix epoch.
        level: Where it stands in the test pyramid; empty: not said.
        job: The job's name in the Run.
        attempt: Which attempt of it, from 0.
        cases: Reads its tests.
        files: Blob with the lines that they went through; empty: not recorded.
    """

    name: str
    commit: str
    change: str
    run: str
    at: float
    cases: Callable[[], Iterable[CaseDone]]
    level: str = ""
    job: str = ""
    attempt: int = 0
    files: str = ""


class Story(Struct, kw_only=True):
    """What is known of one test.

    Args:
        id: Its id.
        suite: The suite it belongs to.
        level: Where that stands in the test pyramid.
        file: Where it is written; empty: not known.
        line: There.
        commits: For how many commits it ran.
        failed: At how many of them it only failed.
        flaky: At how many it both passed and failed.
        last_flaky_at: When that was last seen.
        flips: How often it passed at one commit and failed at the next, or the other way round.
        state: ``passed``, ``failed`` or ``flaky`` at the newest commit where it ran.
        failing_since: The Suite in which it began to fail, while it fails.
        was_green: Whether it had passed before that.
        message: Why it failed the last time.
        durations: Its newest durations, in seconds.
    """

    id: str
    suite: str
    level: str = ""
    file: str = ""
    line: int = 0
    commits: int = 0
    failed: int = 0
    flaky: int = 0
    last_flaky_at: float = 0
    flips: int = 0
    state: str = ""
    failing_since: Suite | None = None
    was_green: bool = False
    message: str = ""
    durations: list[float] = field(default_factory=list)
    place: int = 0
    """Number of the last commit where it ran, among those of its suite."""

    @property
    def seconds(self) -> float:
        """Its usual duration."""
        return median(self.durations) if self.durations else 0.0


class Floor(Struct, kw_only=True):
    """One floor of the test pyramid, as each of its suites was last run."""

    level: str
    suites: int = 0
    tests: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0


class History(Struct, kw_only=True):
    """All that was told.

    Args:
        stories: Every test, by suite and id.
        floors: The test pyramid, by level.
        newest: Number of the newest commit of each suite.
        skipped: Tests skipped at it, by suite.
        flaky_runs: Runs in which something passed only at another try, with what.
        broken: Tests that passed at the commit before and failed with a Change, by Change.
    """

    stories: dict[tuple[str, str], Story] = field(default_factory=dict)
    floors: dict[str, Floor] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    flaky_runs: dict[str, set[str]] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)

    def current(self) -> list[Story]:
        """Return the tests that are there still: they ran lately."""
        oldest = {suite: newest - CURRENT_COMMITS for suite, newest in self.newest.items()}
        return [one for one in self.stories.values() if one.place > oldest[one.suite]]


def suite_name(job: JobPlan) -> str:
    """Name the suite that a job is, or is a share of.

    >>> suite_name(JobPlan(name="unit-2", group="unit", shard=2, shards=4))
    'unit'
    >>> suite_name(JobPlan(name="unit-a", group="unit", values={"python": "3.12"}))
    'unit (python=3.12)'
    """
    chosen = ", ".join(f"{name}={value}" for name, value in sorted(job.values.items()))
    return f"{job.group or job.name} ({chosen})" if chosen else job.group or job.name


def tell(suites: Iterable[Suite]) -> History:
    """Put reports together to a history.

    Args:
        suites: The reports, in any order; each is read once.
    """
    history = History()
    for looks in _by_commit(suites):
        name = looks[0].name
        history.newest[name] = place = history.newest.get(name, 0) + 1
        commit = _Commit(history, looks[0], place)
        for suite in looks:
            commit.take(suite)
        commit.close()
    history.floors = _floors(history)
    return history


def _by_commit(suites: Iterable[Suite]) -> list[list[Suite]]:
    groups: dict[tuple[str, str], list[Suite]] = {}
    for suite in sorted(suites, key=lambda one: (one.at, one.run, one.job, one.attempt)):
        groups.setdefault((suite.name, suite.commit), []).append(suite)
    return list(groups.values())


class _Commit:
    """Takes in all that a suite said of one commit."""

    def __init__(self, history: History, first: Suite, place: int) -> None:
        self._history = history
        self._first = first
        self._place = place
        self._marks: dict[str, int] = {}
        self._skipped: dict[str, int] = {}

    def take(self, suite: Suite) -> None:
        self._skipped[suite.job] = 0
        for case in suite.cases():
            if case.state == "skipped":
                self._skipped[suite.job] += 1
                continue
            failed = case.state in FAILED
            before = self._marks.get(case.id, 0)
            mark = _FAILED if failed else (_PASSED | _FAILED if case.flaky else _PASSED)
            self._marks[case.id] = before | mark
            if not failed and (case.flaky or before & _FAILED):
                self._history.flaky_runs.setdefault(suite.run, set()).add(case.id)
            self._note(suite, case, failed)

    def _note(self, suite: Suite, case: CaseDone, failed: bool) -> None:
        story = self._history.stories.get((suite.name, case.id))
        if story is None:
            story = Story(id=case.id, suite=suite.name)
            self._history.stories[suite.name, case.id] = story
        story.level = suite.level
        if case.file:
            story.file, story.line = case.file, case.line
        if failed:
            story.message = case.message
        else:
            story.durations.append(case.seconds)
            del story.durations[:-KEPT_DURATIONS]

    def close(self) -> None:
        self._history.skipped[self._first.name] = sum(self._skipped.values())
        for id, mark in self._marks.items():
            self._end(self._history.stories[self._first.name, id], mark)

    def _end(self, story: Story, mark: int) -> None:
        state = {_PASSED: "passed", _FAILED: "failed"}.get(mark, "flaky")
        story.commits += 1
        story.place = self._place
        story.failed += state == "failed"
        story.flips += {story.state, state} == {"passed", "failed"}
        if (story.state, state) == ("passed", "failed"):
            self._history.broken.setdefault(self._first.change, []).append(story.id)
        if state == "flaky":
            story.flaky += 1
            story.last_flaky_at = self._first.at
        if state != "failed":
            story.failing_since = None
            story.was_green = True
        elif story.failing_since is None:
            story.failing_since = self._first
        story.state = state


def _floors(history: History) -> dict[str, Floor]:
    floors: dict[str, Floor] = {}
    suites: dict[str, set[str]] = {}
    for story in history.current():
        floor = floors.setdefault(story.level, Floor(level=story.level))
        suites.setdefault(story.level, set()).add(story.suite)
        floor.tests += 1
        floor.failed += story.state == "failed"
        floor.seconds += story.seconds
    for level, floor in floors.items():
        floor.suites = len(suites[level])
        floor.skipped = sum(history.skipped[suite] for suite in suites[level])
    return floors


def slowest(stories: Iterable[Story], most: int) -> list[Story]:
    """Return the tests that usually take longest."""
    return sorted(stories, key=lambda one: (-one.seconds, one.suite, one.id))[:most]


def newly_failing(stories: Iterable[Story], most: int) -> list[Story]:
    """Return tests that fail now and passed before, what broke last first."""
    broken = [one for one in stories if one.failing_since is not None and one.was_green]
    return sorted(broken, key=lambda one: (-_since(one), one.suite, one.id))[:most]


def _since(story: Story) -> float:
    return story.failing_since.at if story.failing_since is not None else 0.0


def durations(stories: Sequence[Story]) -> dict[str, float]:
    """Return the usual duration of each test of a suite, by id."""
    return {one.id: round(one.seconds, 6) for one in stories if one.durations}
