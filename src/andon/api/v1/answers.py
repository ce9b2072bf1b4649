"""What the API answers: the shape of every answer, for its servers, its document and its clients.

Times are seconds since the Unix epoch, UTC; 0 means "not yet". Revisions are opaque texts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from andon.api.v1.access import Role, Verb
from andon.api.v1.alerts import Severity
from andon.api.v1.budgets import BudgetState
from andon.api.v1.records import Fault, Phase, RunType, StepState, Verdict
from andon.api.v1.spans import SpanKind, SpanStatus

Time = Annotated[float, Meta(description="Seconds since the Unix epoch, UTC; 0: not yet.")]
Revision = Annotated[str, Meta(description="What `If-Match` expects; changes with every write.")]
Command = Annotated[str, Meta(description="The command that opens it.")]

# --- Changes, Runs, Holds -----------------------------------------------------------------------


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


# --- builds, and how fast they answer -----------------------------------------------------------


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


# --- what is, and why ---------------------------------------------------------------------------


class Canary(TypedDict):
    """A version that is being rolled out."""

    version: VersionOf
    run: Run


class Replicas(TypedDict):
    """How many processes serve."""

    ready: int
    wanted: int


class ServiceRow(TypedDict):
    """A service in an environment."""

    environment: str
    service: str
    address: str
    version: VersionOf
    phase: Annotated[str, Meta(description="Of the newest Run there; empty: there was none.")]
    weight: Annotated[float, Meta(description="Percent of the traffic that `version` has.")]
    canary: Canary | None
    replicas: Replicas
    holds: list[Hold]
    message: Annotated[str, Meta(description="Why it is not as desired; empty: it is.")]


class Agent(TypedDict, total=False):
    """The agent of the host, or why it does not answer."""

    version: str
    pid: int
    epoch: int
    startedAt: Time
    rssBytes: int
    jobs: list[str]
    error: str


class Status(TypedDict):
    """What runs where, and what moves."""

    environments: Annotated[list[str], Meta(description="In order of promotion.")]
    services: list[ServiceRow]
    changes: Annotated[list[Change], Meta(description="The newest ones, the newest first.")]
    runs: Annotated[list[Run], Meta(description="Those that have not ended.")]
    holds: list[Hold]
    paused: Annotated[str, Meta(description="Why no work is begun; empty: it is.")]
    problems: Annotated[dict[str, str], Meta(description="What goes wrong, with the reason.")]
    agent: Agent
    gateway: dict[str, Any]


class Missing(TypedDict):
    """Evidence that a gate waits for."""

    check: str
    environment: str
    reason: str
    since: Time
    opens: Command
    person: Annotated[bool, Meta(description="Only a person can provide it.")]


class Sentence(TypedDict):
    """One thing that happened, in words."""

    at: Time
    text: str
    id: Annotated[str, Meta(description="Of the event in the ledger.")]


class Evidence(TypedDict):
    """A claim about a subject."""

    name: str
    check: str
    verdict: Verdict
    message: str
    source: str
    observedAt: Time


class Why(TypedDict):
    """What holds a subject, and what would open it."""

    subject: str
    kind: Literal["run", "change", "environment", "service", "digest"]
    open: bool
    summary: str
    missing: list[Missing]
    holds: list[Hold]
    approvals: list[Approval]
    story: list[Sentence]
    evidence: list[Evidence]


FieldChange = TypedDict("FieldChange", {"field": str, "from": Any, "to": Any})
FieldChange.__doc__ = "A field that would be different."

ServiceChange = TypedDict(
    "ServiceChange",
    {
        "service": str,
        "from": VersionOf | None,
        "to": VersionOf | None,
        "changes": list[FieldChange],
    },
)
ServiceChange.__doc__ = "What would be different of a service."


class Diff(TypedDict):
    """What a ship would change in an environment."""

    environment: str
    services: list[ServiceChange]


class ScheduleRow(TypedDict):
    """Something that is built again by the clock."""

    schedule: str
    repository: str
    pipeline: str
    cron: str
    timezone: str
    missed: Annotated[str, Meta(description="What becomes of times that were missed.")]
    nextAt: Time
    nextLocal: Annotated[str, Meta(description="ISO 8601, in its own zone; empty: not known.")]
    lastAt: Time
    lastRun: str
    lastPhase: str
    lastMessage: str
    missedCount: int


class Metadata(TypedDict):
    """Who an object is."""

    name: str
    uid: str
    generation: int
    labels: dict[str, str]


class Document(TypedDict):
    """A stored object, as documents are written."""

    apiVersion: Literal["andon/v1"]
    kind: str
    metadata: Metadata
    spec: dict[str, Any]
    status: dict[str, Any]


class Health(TypedDict):
    """Whether Andon answers; all but ``ok`` for those who may look only."""

    ok: bool
    version: NotRequired[str]
    state: NotRequired[str]
    pid: NotRequired[int]
    epoch: NotRequired[int]
    startedAt: NotRequired[Time]
    problems: NotRequired[dict[str, str]]
    agent: NotRequired[Agent]
    gateway: NotRequired[dict[str, Any]]


# --- the ledger ---------------------------------------------------------------------------------


class Event(TypedDict):
    """Something that happened."""

    kind: Literal["event"]
    seq: Annotated[int, Meta(description="Its place in the ledger.")]
    id: str
    at: Time
    type: Annotated[str, Meta(description="Of the CDEvent.")]
    stream: str
    chain: Annotated[str, Meta(description="Change that it belongs to.")]
    subject: str
    text: Annotated[str, Meta(description="In one line.")]


class EventInFull(TypedDict):
    """An event with its body, what led to it and what it led to."""

    event: Event
    body: Annotated[dict[str, Any], Meta(description="The CloudEvent; empty once it is erased.")]
    causes: list[Event]
    effects: list[Event]


class Progress(TypedDict):
    """A Run whose numbers moved; in the event stream only."""

    kind: Literal["progress"]
    run: Run


class Key(TypedDict):
    """The public key that checkpoints are signed with."""

    keyId: str
    publicKey: str


class Checkpoint(TypedDict):
    """How far the ledger is signed."""

    made: Annotated[bool, Meta(description="False: nothing was new.")]
    seq: int


class FindingRow(TypedDict):
    """A place where the ledger is not as it was written."""

    stream: str
    n: int
    seq: int
    id: str
    what: str


class Verification(TypedDict):
    """What was found where every chain was computed again."""

    ok: bool
    events: int
    streams: int
    erased: int
    archived: int
    segments: int
    checkpoints: int
    signedSeq: int
    findings: list[str]
    places: list[FindingRow]


class Erasure(TypedDict):
    """An event whose body is gone."""

    id: str
    stream: str
    n: int
    told: Annotated[str, Meta(description="The event that says so.")]
    wiped: Annotated[bool, Meta(description="Nothing of it is left in Andon's own files.")]


class Archival(TypedDict):
    """What was moved into the blob store."""

    events: int
    blobs: int


class Imported(TypedDict):
    """How many events were taken in."""

    events: int
    skipped: int


class Comparison(TypedDict):
    """Whether streams ended like that once."""

    same: bool


class Taken(TypedDict):
    """An event of others, as it was kept."""

    id: str
    source: str
    event: Annotated[str, Meta(description="Its id in the ledger.")]
    created: Annotated[bool, Meta(description="False: it was there already.")]
    change: str
    evidence: list[str]
    checks: list[str]
    notes: list[str]


class Intake(TypedDict):
    """Events of others that were kept."""

    events: list[Taken]


# --- watching, telling, the queue ---------------------------------------------------------------


class Branch(TypedDict):
    """Names a branch."""

    repository: str
    branch: str


class NewWatch(Branch):
    """A branch whose new commits ship by themselves."""

    intervalSeconds: float


class Watch(NewWatch):
    """A watched branch, with what was last seen of it."""

    sha: str
    message: Annotated[str, Meta(description="Why it cannot be reached; empty: it can.")]


class Subscription(TypedDict):
    """Somebody outside who is told what happens."""

    name: str
    url: Annotated[str, Meta(description="Without what may be secret.")]
    types: list[str]
    stream: str
    mode: Literal["structured", "binary"]
    signedWith: Annotated[int, Meta(description="So many secrets sign.")]
    state: Literal["active", "failing", "paused"]
    paused: str
    cursor: int
    lag: Annotated[int, Meta(description="Events to be told, of the next 1000 in the ledger.")]
    lagMore: bool
    waitingSince: Time
    delivered: int
    deliveredAt: Time
    attempts: int
    error: str
    failedAt: Time
    nextAt: Time
    dead: int
    createdAt: Time
    createdBy: str


class SubscriptionWithSecret(Subscription):
    """A subscription as it was made or got another secret."""

    secret: NotRequired[
        Annotated[str, Meta(description="What it is signed with, if made here; shown once.")]
    ]


class UntoldEvent(TypedDict):
    """An event that could not be told."""

    event: str
    error: str
    attempts: int
    at: Time


class SubscriptionWithLetters(Subscription):
    """A subscription with what could not be told."""

    letters: list[UntoldEvent]


class FailedEvent(TypedDict):
    """An event that could not be told this time, either."""

    event: str
    error: str


class Retried(TypedDict):
    """What became of dead letters."""

    delivered: list[str]
    failed: list[FailedEvent]


class Worker(TypedDict):
    """A process that takes turns."""

    name: str
    token: int
    alive: bool
    leaseEndsIn: float


class Lease(TypedDict):
    """What one worker does for all."""

    name: str
    worker: str
    token: int
    endsIn: float


class Turn(TypedDict):
    """A controller's turn that is due."""

    subject: str
    due: Time
    worker: str
    attempts: int


class PendingAction(TypedDict):
    """An action that is under way."""

    key: str
    subject: str
    step: str
    queue: str
    worker: str
    token: int
    askedAt: Time


class DeadLetter(TypedDict):
    """Work that was given up."""

    queue: str
    subject: str
    error: str
    attempts: int
    at: Time


class Queue(TypedDict):
    """What waits, what is under way, who works, and what was given up."""

    paused: str
    workers: list[Worker]
    leases: list[Lease]
    turns: list[Turn]
    actions: list[PendingAction]
    deadLetters: list[DeadLetter]


# --- who may come in ----------------------------------------------------------------------------


class GrantOf(TypedDict):
    """A role in an environment."""

    role: Role
    environment: Annotated[str, Meta(description="`*`: everywhere.")]


class Caller(TypedDict):
    """Who asks, and what they may do."""

    name: str
    via: str
    teams: list[str]
    grants: list[GrantOf]
    verbs: Annotated[list[Verb], Meta(description="What they may do in at least one environment.")]


class Session(TypedDict):
    """Who asks, and how one may log in."""

    identity: Annotated[Caller | None, Meta(description="null: nobody known.")]
    csrf: Annotated[str, Meta(description="What a page sends with every write.")]
    logins: list[str]


class LoggedIn(TypedDict):
    """A session that has begun."""

    identity: Caller
    csrf: str
    expiresAt: Time


class Code(TypedDict):
    """Lets its maker in with a browser, once."""

    code: str
    expiresAt: Time


class User(TypedDict):
    """A person."""

    name: str
    emails: list[str]
    grants: list[GrantOf]
    teams: list[str]
    hasPassword: bool
    subject: Annotated[str, Meta(description="At the OpenID provider; empty: none.")]
    notify: Annotated[list[str], Meta(description="Where notices go, without what is secret.")]
    disabled: bool
    lockedUntil: Time
    createdAt: Time
    revision: Revision
    notes: NotRequired[list[str]]


class Team(TypedDict):
    """People who may do the same."""

    name: str
    members: list[str]
    grants: list[GrantOf]
    createdAt: Time
    revision: Revision
    notes: NotRequired[list[str]]


class Token(TypedDict):
    """A service token, without what lets anybody in."""

    name: str
    owner: Annotated[str, Meta(description="User whose rights bound it; empty: its own.")]
    grants: list[GrantOf]
    expiresAt: Annotated[float, Meta(description="0: never.")]
    createdBy: str
    createdAt: Time
    revokedAt: Time
    revision: Revision
    notes: NotRequired[list[str]]


class TokenWithSecret(Token):
    """A token as it was made."""

    secret: NotRequired[Annotated[str, Meta(description="What lets in; shown once.")]]


class RotatedToken(Token):
    """The administrator's token, replaced."""

    file: Annotated[str, Meta(description="Where it lies, on the host of the control plane.")]


class Secret(TypedDict):
    """A secret, without its value."""

    name: str
    environment: str
    version: int
    by: str
    at: Time
    usedBy: list[str]
    revision: Revision


class ReleasedSecret(Secret):
    """A secret with the rollouts that its new value begins."""

    runs: list[str]


class Sealed(TypedDict):
    """Which key seals the secrets now."""

    key: str
    before: str
    values: int
    forgotten: int


# --- forges -------------------------------------------------------------------------------------


class Hook(TypedDict):
    """A forge that is listened to."""

    name: str
    forge: Literal["github", "gitlab", "gitea"]
    repository: Annotated[str, Meta(description="Address that is shipped.")]
    branches: Annotated[list[str], Meta(description="None: the policy branch.")]
    pullRequests: bool
    api: Annotated[str, Meta(description="Empty: no statuses are reported.")]
    project: str
    url: Annotated[str, Meta(description="Where the forge posts to.")]
    createdBy: str
    createdAt: Time
    revision: Revision


class HookWithSecret(Hook):
    """A hook as it was made or got another secret."""

    secret: NotRequired[Annotated[str, Meta(description="What signs, if made here; shown once.")]]


class HookInFull(Hook):
    """A hook, with how telling its forge goes."""

    statuses: NotRequired[Subscription]


class Delivery(TypedDict):
    """What became of a forge's message."""

    taken: Annotated[bool, Meta(description="A commit is on its way.")]
    reason: NotRequired[Annotated[str, Meta(description="Why nothing was done.")]]
    command: NotRequired[Annotated[str, Meta(description="With which a person may do it.")]]
    change: NotRequired[str]
    sha: NotRequired[str]
    created: NotRequired[bool]
    ref: NotRequired[str]


# --- Andon itself -------------------------------------------------------------------------------


class AdminState(TypedDict):
    """On which database Andon is, and why nothing is claimed."""

    paused: str
    database: str
    restored: Annotated[float, Meta(description="When this copy was made; 0: it is none.")]


class PlaceDifference(TypedDict):
    """A place where the world is not as a restored copy says."""

    environment: str
    service: str
    copy: str
    world: str
    desired: str
    keepable: bool


class Resumed(TypedDict):
    """Whether it goes on, and what is not as a restored copy says."""

    resumed: bool
    paused: str
    differences: list[PlaceDifference]


class ErrandError(TypedDict):
    """Why an errand failed."""

    code: str
    detail: str
    hint: str


class Errand(TypedDict):
    """Something that takes longer than one answer."""

    name: Annotated[str, Meta(description="Empty: there was none.")]
    state: Literal["running", "done", "failed"]
    progress: str
    result: dict[str, Any] | None
    error: NotRequired[ErrandError]


class Problem(TypedDict):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Meta(description="What happened, to which subject, and why.")]
    code: Annotated[str, Meta(description="One of the codes of Andon's errors.")]
    hint: Annotated[str, Meta(description="What to type or change next; empty: nothing.")]
    retry: Annotated[bool, Meta(description="Trying again later may succeed.")]


# --- workers elsewhere --------------------------------------------------------------------------


class RemoteWorker(TypedDict):
    """A worker on another machine."""

    name: str
    labels: list[str]
    state: Annotated[str, Meta(description="`ready`, `busy`, `draining`, `drained` or `lost`.")]
    jobs: Annotated[list[str], Meta(description="What it runs, as `run/job`.")]
    atOnce: int
    by: Annotated[str, Meta(description="Whose token it uses.")]
    version: str
    seenAt: Time
    drainedBy: str


class Offer(TypedDict):
    """A job to run, or nothing to do."""

    job: Annotated[str, Meta(description="Names it from now on; empty: there is none.")]
    lease: Annotated[int, Meta(description="Goes with everything that is said of it.")]
    key: Annotated[str, Meta(description="Idempotency key of its intent.")]
    action: Annotated[str, Meta(description="What to run: a `RunJob` as JSON.")]
    leaseSeconds: Annotated[float, Meta(description="A sign of life is due well before.")]
    draining: Annotated[bool, Meta(description="Nothing new is offered.")]


class Package(TypedDict):
    """Bytes to fetch."""

    digest: str
    sizeBytes: int


class Kit(TypedDict):
    """What a job needs."""

    tree: Annotated[Package, Meta(description="Its work tree, as a tar.")]
    blobs: Annotated[list[Package], Meta(description="Files of jobs that it needs.")]
    secrets: Annotated[dict[str, str], Meta(description="Values by environment variable.")]


class Beat(TypedDict):
    """The lease goes on."""

    cancelled: Annotated[bool, Meta(description="The job is to end.")]


class Written(TypedDict):
    """How much is there."""

    sizeBytes: int


class Ended(TypedDict):
    """A job whose answer is kept."""

    job: str
    state: str


# --- Tests as data ------------------------------------------------------------------------------


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


# --- Checks -------------------------------------------------------------------------------------

CheckStanding = Literal["passing", "failing", "unsteady", "unknown"]


class CheckView(TypedDict):
    """How a Check stands as one worker sees it."""

    worker: Annotated[str, Meta(description="Who asks; `here`: the installation itself.")]
    standing: CheckStanding
    since: Time
    message: Annotated[str, Meta(description="What the last answer was not; empty: as expected.")]
    lastAt: Time
    seconds: Annotated[float, Meta(description="How long the last one took.")]


class Check(TypedDict):
    """What is asked of a running system again and again."""

    name: str
    kind: Annotated[str, Meta(description="`http`, `steps`, `tcp`, `tls`, `dns` or `browser`.")]
    service: Annotated[str, Meta(description="What it tells something of; empty: nothing of ours.")]
    environment: str
    everySeconds: float
    standing: Annotated[
        CheckStanding, Meta(description="Failing: most of the workers that know say so.")
    ]
    views: list[CheckView]


class CheckResultRow(TypedDict):
    """What came of asking once."""

    worker: str
    at: Time
    passed: bool
    seconds: float
    tries: int
    message: str
    phases: Annotated[dict[str, float], Meta(description="Seconds since it began, by part.")]
    daysLeft: Annotated[float | None, Meta(description="Of a certificate.")]


class CheckHistory(TypedDict):
    """A Check and its newest results."""

    check: Check
    results: Annotated[list[CheckResultRow], Meta(description="Newest first.")]


class CheckOrder(TypedDict):
    """What a worker on another machine is to ask."""

    name: str
    spec: Annotated[str, Meta(description="The Check's spec as JSON.")]


class CheckTaken(TypedDict):
    """What became of results."""

    counted: int
    late: Annotated[int, Meta(description="Were there already, or told as missed.")]


# --- logs of everything ------------------------------------------------------------------------


class SaidLine(TypedDict):
    """A line that something running said."""

    at: Time
    text: str
    severity: Annotated[str, Meta(description="Empty: it does not say.")]
    source: Annotated[str, Meta(description="`service`, `job`, `otlp`, `andon`.")]
    service: str
    environment: str
    trace: Annotated[str, Meta(description="Id of its trace; empty: it names none.")]
    span: str
    template: Annotated[int, Meta(description="Id of its template; 0: it has none.")]
    labels: dict[str, str]
    attributes: dict[str, str]


class SaidLines(TypedDict):
    """Lines, newest first."""

    lines: list[SaidLine]
    next: Annotated[str, Meta(description="`before` of the next page; empty: there is none.")]


class LineTemplate(TypedDict):
    """What many lines have in common."""

    id: int
    text: Annotated[str, Meta(description="What varies is `<*>`.")]
    lines: int
    firstAt: Time
    lastAt: Time
    example: str


class LineBar(TypedDict):
    """Lines of a short time."""

    at: Time
    counts: Annotated[dict[str, int], Meta(description="By severity.")]


class LineHistogram(TypedDict):
    """Lines over time."""

    barSeconds: float
    bars: list[LineBar]


# --- traces -------------------------------------------------------------------------------------


class TraceRow(TypedDict):
    """A trace that is kept."""

    trace: Annotated[str, Meta(description="Its id, 32 hexadecimal digits.")]
    root: Annotated[str, Meta(description="Name of its first span.")]
    service: Annotated[str, Meta(description="Whose that is.")]
    startedAt: Time
    seconds: float
    spans: int
    failed: Annotated[bool, Meta(description="A span of it ended in an error.")]


class SpanEventRow(TypedDict):
    """Something that happened within a span."""

    at: Time
    name: str
    attributes: dict[str, str]


class SpanLink(TypedDict):
    """Another span that one has to do with."""

    trace: str
    span: str


class SpanRow(TypedDict):
    """A span, where it stands in the waterfall of its trace."""

    id: str
    parent: Annotated[str, Meta(description="Empty: it has none.")]
    orphan: Annotated[bool, Meta(description="Nobody told of its parent.")]
    name: str
    service: str
    kind: SpanKind
    status: SpanStatus
    startedAt: Time
    seconds: float
    depth: Annotated[int, Meta(description="How many are above it.")]
    offsetSeconds: Annotated[float, Meta(description="From the beginning of the trace.")]
    selfSeconds: Annotated[float, Meta(description="In which none of its children ran.")]
    attributes: dict[str, str]
    events: list[SpanEventRow]
    links: list[SpanLink]


class TraceShown(TypedDict):
    """A trace, its spans in the order in which they are drawn."""

    trace: str
    startedAt: Time
    seconds: float
    services: list[str]
    failed: bool
    spans: list[SpanRow]


class MappedService(TypedDict):
    """What a service was asked."""

    name: str
    requests: int
    failed: int
    meanSeconds: float


class MappedCalls(TypedDict):
    """Calls from one service to another."""

    caller: Annotated[str, Meta(description="Empty: from outside.")]
    callee: str
    calls: int
    failed: int
    meanSeconds: float


class ServiceMap(TypedDict):
    """Who called whom; counted before any trace was left out."""

    since: Time
    services: list[MappedService]
    calls: list[MappedCalls]


class OtlpRejected(TypedDict):
    """What of a request could not be used, in the words of OTLP."""

    rejectedSpans: NotRequired[str]
    rejectedDataPoints: NotRequired[str]
    rejectedLogRecords: NotRequired[str]
    errorMessage: NotRequired[str]


class OtlpTaken(TypedDict):
    """All of a request was taken, or all but a part."""

    partialSuccess: NotRequired[OtlpRejected]


# --- Alerts and budgets -------------------------------------------------------------------------


class Alert(TypedDict):
    """Something that somebody should know of."""

    name: str
    state: Literal["firing", "resolved"]
    severity: Severity
    summary: str
    source: Annotated[str, Meta(description="Who says so: `objective:shop`, `alertmanager`…")]
    service: str
    environment: str
    labels: dict[str, str]
    fingerprint: str
    startsAt: Time
    firedAt: Time
    resolvedAt: Time
    resolution: str
    told: Annotated[int, Meta(description="How often its source told of it.")]
    unknownSince: Annotated[float, Meta(description="Its source cannot say any more; 0: it can.")]
    acknowledgedAt: Time
    acknowledgedBy: str
    acknowledgedFor: str
    notified: Annotated[dict[str, float], Meta(description="When each receiver was last told.")]
    silencedBy: Annotated[str, Meta(description="The Silence that matches; empty: none does.")]
    inhibitedBy: Annotated[str, Meta(description="The alert that says more; empty: none does.")]
    hold: Annotated[str, Meta(description="The Hold that it pulled.")]
    revision: Revision


class PendingAlert(TypedDict):
    """An alert that burns in its short window only, or may still be chance."""

    objective: str
    name: str
    severity: Severity
    service: str
    environment: str
    summary: str


class RefusedAlert(TypedDict):
    """An alert that an Objective does not have, as it could never fire."""

    objective: str
    environment: str
    name: str
    reason: str


class Alerts(TypedDict):
    """What fires, what may yet, and what was refused."""

    alerts: list[Alert]
    pending: list[PendingAlert]
    refused: list[RefusedAlert]
    evaluatedAt: Annotated[
        float, Meta(description="When Objectives were last looked at; 0: never.")
    ]


class AlertInFull(Alert):
    """An alert with its story."""

    details: str
    links: list[str]
    story: list[Sentence]


class AlertsTaken(TypedDict):
    """What became of another tool's alerts."""

    taken: Annotated[list[str], Meta(description="Their names here.")]
    alerts: Annotated[list[Alert], Meta(description="Those of them that the caller may see.")]


class PagerDutyTaken(TypedDict):
    """What PagerDuty answers to an event."""

    status: Literal["success"]
    message: str
    dedup_key: str


class Silence(TypedDict):
    """Nobody is told of alerts that match, for a while."""

    name: str
    matchers: list[str]
    reason: str
    by: str
    createdAt: Time
    until: Time
    endedAt: Time
    endedBy: str
    inForce: bool
    revision: Revision


class Budget(TypedDict):
    """How the error budgets of a service stand, as a BudgetPolicy sees them."""

    policy: str
    environment: str
    service: str
    state: BudgetState
    since: Time
    remaining: Annotated[float | None, Meta(description="Share that is left; null: not known.")]
    burn: Annotated[float | None, Meta(description="Times faster than allowed; null: not known.")]
    objective: Annotated[str, Meta(description="Whose budget is the worst.")]
    unknownSince: Annotated[float, Meta(description="Since when it cannot be seen; 0: it can.")]
    effects: Annotated[
        dict[str, str], Meta(description="What becomes of which deed; one not named is allowed.")
    ]
    hold: str
    override: Annotated[str, Meta(description="The override in force; empty: none is.")]
    said: Annotated[str, Meta(description="All that in a sentence.")]


class Override(TypedDict):
    """A person has set a BudgetPolicy aside for a while."""

    name: str
    policy: str
    environment: str
    service: str
    by: str
    reason: str
    createdAt: Time
    until: Time
    inForce: bool


class BudgetPolicy(TypedDict):
    """A BudgetPolicy, how its budgets stand, and who has set it aside."""

    name: str
    spec: dict[str, Any]
    budgets: list[Budget]
    overrides: list[Override]


class Prometheus(TypedDict):
    """An answer in the words of Prometheus's HTTP API."""

    status: Literal["success"]
    data: Annotated[Any, Meta(description="As Prometheus gives it.")]
    warnings: NotRequired[list[str]]
    infos: NotRequired[list[str]]


class JudgeDecision(TypedDict):
    """What was claimed of a step, and what comes out when it is decided again."""

    step: str
    sample: Annotated[int, Meta(description="So many counts had been seen.")]
    at: Time
    verdict: str
    reason: str
    verdictNow: str
    reasonNow: str
    same: Annotated[bool, Meta(description="Byte for byte.")]


class JudgeBeside(TypedDict):
    """What a rule would have made of a rollout."""

    judge: str
    verdict: Annotated[str, Meta(description="RollBack, or what it said at the end.")]
    rollbackAfterSeconds: float | None
    failedRequests: Annotated[int, Meta(description="Of the new version, until then.")]


class JudgeReplay(TypedDict):
    """A rollout, decided again from its stored counts."""

    run: str
    service: str
    environment: str
    samples: int
    rules: Annotated[int, Meta(description="Edition of the rules it was decided by.")]
    same: Annotated[bool, Meta(description="All that was decided comes out again.")]
    sameState: Annotated[
        bool, Meta(description="So does all that the judge remembered at the end.")
    ]
    decisions: list[JudgeDecision]
    judges: Annotated[list[JudgeBeside], Meta(description="Andon's own first.")]


class JudgeSight(TypedDict):
    """When a rise of errors would be seen."""

    risk: Annotated[float, Meta(description="So many times the errors of the running version.")]
    afterSeconds: Annotated[float | None, Meta(description="null: it passes in this plan.")]
    weight: Annotated[float, Meta(description="Of the step at which it is seen; 0: none.")]
    failedRequests: int


class JudgeForecast(TypedDict):
    """What the judge will be able to see in the next rollout of a service."""

    service: str
    environment: str
    requestsPerSecond: float
    errorShare: float
    goodSeconds: Annotated[
        float | None, Meta(description="A good release takes so long; null: it waits for a person.")
    ]
    seen: list[JudgeSight]
    fewestErrors: Annotated[
        int | None,
        Meta(description="So many of the new version alone can roll it back at the first step."),
    ]
    firstWeight: float
    advice: list[str]
