"""Changes, Runs, Holds: what moves, and what stops it."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Command, Revision, Time
from andon.api.v1.records import Fault, Phase, RunType, StepState


class VersionOf(TypedDict):
    """What runs somewhere; empty texts where nothing is known."""

    digest: Annotated[str, Meta(description="Of the artifact, `sha256:...`.")]
    configHash: Annotated[str, Meta(description="Of the configuration it runs with.")]
    change: Annotated[str, Meta(description="Change that brought it.")]
    sha: Annotated[str, Meta(description="Commit it was built from.")]


class Step(TypedDict):
    """A step of a Run."""

    name: str
    position: int
    state: StepState
    attempt: Annotated[int, Meta(description="From 0; those the machine prevented count, too.")]
    failures: Annotated[
        int,
        Meta(description="Attempts that failed by the change's fault, with another after them."),
    ]
    rule: Annotated[str, Meta(description="The rule that skipped it; empty: none did.")]
    flaky: Annotated[bool, Meta(description="It passed, after it had failed.")]
    reused: Annotated[
        str, Meta(description="`run/job` that passed with the same inputs; empty: it ran itself.")
    ]
    quarantined: Annotated[list[str], Meta(description="Tests in quarantine that failed.")]
    fault: Annotated[Fault | None, Meta(description="Whose fault it is that it failed.")]
    message: str
    log: Annotated[str, Meta(description="Name of its log; empty: it has none.")]
    startedAt: Time
    finishedAt: Time


class Run(TypedDict):
    """Steps being carried out: a build, a rollout or a rollback."""

    name: str
    type: RunType
    change: str
    sha: str
    service: Annotated[str, Meta(description="Empty for a build.")]
    environment: Annotated[str, Meta(description="Empty for a build.")]
    version: VersionOf
    phase: Phase
    reason: str
    message: str
    weight: Annotated[float, Meta(description="Percent of the traffic that the new version has.")]
    verdict: Annotated[
        str, Meta(description="Of the judge: Advance, RollBack, Wait or Untrustworthy.")
    ]
    expectedSeconds: Annotated[float, Meta(description="How long the judge expects to need yet.")]
    evidenceLog: Annotated[
        float, Meta(description="Grows toward `evidenceThreshold` when the version harms.")
    ]
    evidenceThreshold: float
    fitLog: Annotated[
        float, Meta(description="Grows toward `fitThreshold` when the version is fit to go on.")
    ]
    fitThreshold: float
    canaryRequests: int
    canaryErrors: int
    stableRequests: int
    stableErrors: int
    startedAt: Time
    verdictAt: Time
    zeroWeightAt: Time
    finishedAt: Time
    revision: Revision


class RunWithSteps(Run):
    """A Run with its steps."""

    steps: list[Step]


class Cancellation(TypedDict):
    """A person's wish that a Run ends."""

    by: str
    reason: str
    askedAt: Time
    outlook: Annotated[str, Meta(description="What becomes of the Run.")]


class CancelledRun(Run):
    """A Run as it was when somebody asked that it ends."""

    cancellation: Cancellation


class Scope(TypedDict, total=False):
    """What a Hold stops: what has all these fields in common with it."""

    service: str
    environment: str
    digest: str
    configHash: str
    change: str


class Hold(TypedDict):
    """The cord: nothing of its scope goes on until it is lifted."""

    name: str
    scope: Scope
    scopeText: Annotated[str, Meta(description="The scope in words.")]
    reason: str
    source: Annotated[str, Meta(description="Who pulled it: `person:ann`, `judge`, `latch`.")]
    lift: Literal["Automatic", "Manual"]
    createdAt: Time
    expiresAt: Annotated[float, Meta(description="When it lifts itself; 0: never.")]
    liftedAt: Time
    opens: Command
    effects: Annotated[
        dict[str, str],
        Meta(
            description="What becomes of which deed: `slow`, `approval` or `deny`; empty: it stops all."
        ),
    ]
    revision: Revision


class Lifted(TypedDict):
    """The Holds that were lifted."""

    lifted: list[Hold]


class Approval(TypedDict):
    """A person's consent to a Change in an environment, or to a job of its Pipeline."""

    name: str
    change: str
    environment: Annotated[str, Meta(description="Empty: it is for a job.")]
    job: Annotated[str, Meta(description="The job that waits for it; empty: an environment does.")]
    fix: Annotated[str, Meta(description="What they call it: `security`, `incident`; empty: none.")]
    by: str
    reason: str
    approvedAt: Time
    withdrawnAt: Time


class Change(TypedDict):
    """A commit on its way."""

    name: str
    sha: str
    ref: str
    repository: str
    author: str
    message: Annotated[str, Meta(description="Of the commit.")]
    phase: Phase
    statusMessage: str
    until: Annotated[str, Meta(description="Environment to stop after; empty: none.")]
    environments: Annotated[dict[str, Phase], Meta(description="How far it is in each.")]
    startedAt: Time
    finishedAt: Time


class ChangeWithRuns(Change):
    """A Change with its Runs, the oldest first, and who has approved it."""

    runs: list[RunWithSteps]
    approvals: list[Approval]


class Shipped(TypedDict):
    """What became of a commit that is to be shipped."""

    change: Annotated[str, Meta(description="Name of its Change.")]
    sha: str
    message: str
    created: Annotated[bool, Meta(description="False: it was on the line already.")]


class Incident(TypedDict):
    """A stop of the line that people should know of."""

    name: str
    title: str
    service: str
    environment: str
    change: str
    run: str
    phase: Literal["Open", "Mitigated", "Resolved"]
    severity: Literal["SEV1", "SEV2", "SEV3"]
    detectedAt: Time
    mitigatedAt: Time
    resolvedAt: Time


class LogPiece(TypedDict):
    """A piece of a step's log."""

    run: str
    step: str
    data: str
    offset: int
    nextOffset: Annotated[int, Meta(description="Where the next piece begins.")]
    ended: Annotated[bool, Meta(description="Nothing will follow.")]
