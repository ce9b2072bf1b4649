"""Tests as data."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time


class CaseRow(TypedDict):
    """A test, over the Runs that were looked at."""

    id: str
    suite: Annotated[str, Meta(description="Job, with what its matrix chose.")]
    level: Annotated[str, Meta(description="Where it stands in the test pyramid; empty: not said.")]
    file: str
    line: int
    seconds: Annotated[float, Meta(description="What it usually takes.")]
    commits: Annotated[int, Meta(description="For how many commits it ran.")]
    failed: Annotated[int, Meta(description="At how many of them it only failed.")]
    flaky: Annotated[int, Meta(description="At how many of them it both passed and failed.")]
    state: Annotated[str, Meta(description="`passed`, `failed` or `flaky` at the newest one.")]
    message: Annotated[str, Meta(description="Why it failed the last time.")]
    since: Annotated[str, Meta(description="Change with which it began to fail, while it does.")]
    sinceAt: Time


class FlakyCase(CaseRow):
    """A test that is flaky, or may be."""

    rate: Annotated[float, Meta(description="Share of commits at which it passed and failed.")]
    low: Annotated[float, Meta(description="Exact lower bound of the true share, 19 times of 20.")]
    high: float
    proven: Annotated[bool, Meta(description="False: it only changes sides so often.")]
    lastAt: Time


class PyramidFloor(TypedDict):
    """A floor of the test pyramid, as its suites were last run."""

    level: str
    suites: int
    tests: int
    failed: int
    skipped: int
    seconds: float


class FlakeBudget(TypedDict):
    """Whether more Runs than agreed pass only on another attempt."""

    state: Literal["healthy", "exhausted"]
    runs: Annotated[int, Meta(description="Runs that were looked at.")]
    flaky: Annotated[int, Meta(description="Those that passed only on another attempt.")]
    allowed: Annotated[int, Meta(description="So many are, among `window`.")]
    window: int
    ratio: Annotated[float, Meta(description="The Pipeline's `flakeBudgetRatio`.")]
    low: float
    high: float
    flakyRuns: Annotated[list[str], Meta(description="Their names, newest first, at most 20.")]


class QuarantineRow(TypedDict):
    """A quarantine, and how it stands."""

    test: str
    owner: str
    until: str
    reason: str
    daysLeft: Annotated[int, Meta(description="Negative: it is over.")]
    tests: Annotated[list[str], Meta(description="Tests it covers, at most 20.")]
    calm: Annotated[bool, Meta(description="None of them failed lately: it may go.")]


class PipelineRow(TypedDict):
    """A Pipeline that has Runs."""

    repository: str
    pipeline: str
    runs: int


class CaseReport(TypedDict):
    """What the newest Runs of a Pipeline say of its tests."""

    repository: str
    pipeline: str
    runs: int
    since: Time
    pyramid: list[PyramidFloor]
    slowest: list[CaseRow]
    newlyFailing: list[CaseRow]
    flakiest: list[FlakyCase]
    budget: FlakeBudget
    quarantine: list[QuarantineRow]
    suggestion: Annotated[str, Meta(description="Quarantines to paste, as YAML; empty: none.")]
    unread: Annotated[int, Meta(description="Reports that are not kept any more.")]
    pipelines: Annotated[list[PipelineRow], Meta(description="All that have Runs.")]


class PastRow(TypedDict):
    """What is known of a test, for the order."""

    failed: int
    failing: bool
    seconds: float


class FaultyRow(TypedDict):
    """A Change that broke tests."""

    change: str
    paths: list[str]
    tests: list[str]


class CaseHistory(TypedDict):
    """What splitting and selecting tests goes by."""

    repository: str
    pipeline: str
    runs: int
    tests: Annotated[dict[str, PastRow], Meta(description="By id.")]
    faulty: list[FaultyRow]
    covered: Annotated[list[str], Meta(description="Files the suites went through.")]
    changed: Annotated[list[str], Meta(description="What the Change of the asking job touches.")]
