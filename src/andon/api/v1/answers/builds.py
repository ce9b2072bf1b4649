"""Builds with their logs, and how fast they answer."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time
from andon.api.v1.records import Fault, Phase, StepState


class LogGroup(TypedDict):
    """Lines of a log that fold."""

    title: str
    first: Annotated[int, Meta(description="Number of the line that stands for them, from 0.")]
    last: Annotated[int, Meta(description="Number of the last one; -1: it has not ended.")]


class LogOutline(TypedDict):
    """How long a log is, and what folds in it."""

    run: str
    step: str
    bytes: int
    lines: int
    complete: Annotated[
        bool, Meta(description="False: so much was read so far; ask again for the rest.")
    ]
    ended: Annotated[bool, Meta(description="Nothing will follow.")]
    groups: list[LogGroup]
    groupsLeftOut: Annotated[bool, Meta(description="There are more than are listed.")]


class LogSpan(TypedDict):
    """Text of a log in one style. It is text, never markup."""

    text: str
    style: Annotated[str, Meta(description="Words such as `bold red on-blue`; empty: as usual.")]


class LogLine(TypedDict):
    """A line of a log."""

    number: Annotated[int, Meta(description="From 0.")]
    spans: list[LogSpan]
    cut: Annotated[int, Meta(description="Bytes at its end that are left out.")]


class LogLines(TypedDict):
    """A page of a log."""

    run: str
    step: str
    lines: list[LogLine]
    next: Annotated[int, Meta(description="Number of the line behind the page.")]
    total: Annotated[int, Meta(description="Lines so far.")]
    unfinished: Annotated[bool, Meta(description="The last of them goes on.")]
    bytes: int
    complete: Annotated[bool, Meta(description="False: so much was read so far; ask again.")]
    ended: Annotated[bool, Meta(description="Nothing will follow.")]


class LogMatch(TypedDict):
    """A line in which a text was found."""

    line: int
    text: Annotated[str, Meta(description="What is around it.")]


class LogSearch(TypedDict):
    """Where a text is in a log."""

    run: str
    step: str
    matches: list[LogMatch]
    next: Annotated[int, Meta(description="The line to go on at.")]
    total: Annotated[int, Meta(description="Lines so far.")]
    done: Annotated[bool, Meta(description="The whole log was searched.")]


class TestCounts(TypedDict):
    """What tests did, by number."""

    passed: int
    failed: int
    skipped: int


class TestFailure(TypedDict):
    """A test that failed."""

    job: str
    id: str
    message: str
    file: str
    line: int


class Coverage(TypedDict):
    """How much of the code the tests ran through."""

    lines: int
    covered: int
    branches: int
    branchesCovered: int


class JobRow(TypedDict):
    """A job of a build Run."""

    name: str
    group: Annotated[str, Meta(description="The job it comes from by its matrix; empty: itself.")]
    values: Annotated[dict[str, str], Meta(description="What the matrix chose.")]
    needs: list[str]
    kind: Literal["job", "approval", "pack"]
    state: StepState
    message: Annotated[str, Meta(description="Why; for a skipped job its rule.")]
    fault: Fault | None
    attempt: int
    startedAt: Time
    finishedAt: Time
    hasLog: bool
    services: Annotated[
        list[str], Meta(description="With logs of their own: of the step `<name>/<service>`.")
    ]
    critical: Annotated[bool, Meta(description="It decided how long the Run took.")]
    tests: TestCounts | None
    coverage: Coverage | None
    caches: Annotated[dict[str, str], Meta(description="`hit`, `nearest` or `miss`, by cache.")]
    reused: Annotated[str, Meta(description="`run/job` whose result counts; empty: it ran.")]
    flaky: Annotated[str, Meta(description="How it failed before it passed; empty: it did not.")]
    quarantined: Annotated[list[str], Meta(description="Failed tests that do not stop the line.")]
    origin: Annotated[str, Meta(description="Where it is written.")]


class Stretch(TypedDict):
    """A job's share of the critical path."""

    job: str
    readyAt: Time
    waitedSeconds: float
    waitedFor: Annotated[str, Meta(description="A place, a lock, a worker or people.")]
    ranSeconds: float


class Advice(TypedDict):
    """What would shorten a Run."""

    kind: Literal["instant", "places"]
    job: str
    savesSeconds: Annotated[float, Meta(description="At most.")]
    text: str


class CriticalPath(TypedDict):
    """Where the time of a Run went; stretches and tail make up all of it."""

    stretches: list[Stretch]
    totalSeconds: float
    tailSeconds: Annotated[float, Meta(description="After the last job.")]
    advice: list[Advice]


class Wait(TypedDict):
    """How long a commit waited for its verdict."""

    arrivedAt: Time
    verdictAt: Time
    seconds: Annotated[float, Meta(description="Until the verdict, or until now.")]
    limitSeconds: float
    late: bool


class RunGraph(TypedDict):
    """A build Run with everything its page shows."""

    name: str
    change: str
    sha: str
    title: Annotated[str, Meta(description="First line of the commit's message.")]
    ref: str
    repository: str
    phase: Phase
    message: str
    startedAt: Time
    finishedAt: Time
    now: Time
    jobs: list[JobRow]
    path: CriticalPath
    verdict: Wait | None
    failures: Annotated[list[TestFailure], Meta(description="At most 200.")]


class CoffeeBudget(TypedDict):
    """How often commits waited for their verdict longer than agreed."""

    state: Literal["no-data", "healthy", "burning", "exhausted"]
    limitSeconds: float
    window: Annotated[int, Meta(description="The newest so many verdicts count.")]
    verdicts: int
    late: int
    allowed: Annotated[int, Meta(description="So many of the window may be late.")]
    burnRate: Annotated[
        float | None, Meta(description="Share of late ones over the allowed one; above 1 is bad.")
    ]
    low: Annotated[float, Meta(description="Lower bound of the true share, 19 times in 20.")]
    high: float
    medianSeconds: float | None
    slowest: Annotated[str, Meta(description="The Run that took longest.")]
    slowestSeconds: float


class BatchRow(TypedDict):
    """What the next deployment to an environment would bring at once."""

    environment: str
    deployed: Annotated[str, Meta(description="The Change that runs there; empty: none yet.")]
    changes: int
    paths: Annotated[int | None, Meta(description="Files they touch; null: not known of all.")]
    oldest: str
    oldestSeconds: Annotated[float, Meta(description="How long it has waited.")]


class BranchRow(TypedDict):
    """A branch that was built and not merged."""

    ref: str
    change: str
    ageSeconds: float


class Feedback(TypedDict):
    """How fast the feedback of a repository is."""

    repository: str
    run: Annotated[str, Meta(description="The newest Run with a verdict; empty: none.")]
    coffee: CoffeeBudget
    path: CriticalPath | None
    batches: list[BatchRow]
    branches: list[BranchRow]


BuildState = Literal["passing", "failing", "running", "cancelled", "unknown"]


class BranchBuild(TypedDict):
    """How the newest commit of a branch stands."""

    ref: str
    state: BuildState
    change: str
    sha: str
    title: str
    run: Annotated[str, Meta(description="Its build; empty: none yet.")]
    at: Time


class RepositoryRow(TypedDict):
    """A repository, and how its branches stand."""

    name: str
    location: str
    state: Annotated[BuildState, Meta(description="Of its newest commit that may be deployed.")]
    badge: Annotated[str, Meta(description="Path of its badge.")]
    branches: list[BranchBuild]
