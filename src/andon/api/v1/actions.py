"""Actions: what controllers ask of the world, as values, and what the world answers.

A controller never performs anything. The runtime commits an action as an intent, carries it out
through the port whose method takes it, and commits the outcome; every method is idempotent by the
intent's key, so that after a crash the same intent may be performed again.
"""

from typing import Any

from msgspec import Struct

from andon.api.v1.definitions import BusinessMetric, Health, MetricsEndpoint, Resources, RouteSpec
from andon.api.v1.jobs import JobPlan, SecretRef
from andon.api.v1.records import Fault, StepState, Version


class Action(Struct, frozen=True, kw_only=True, rename="camel", tag_field="action", tag=True):
    """Base of all actions."""


class Outcome(Struct, frozen=True, kw_only=True, rename="camel", tag_field="outcome", tag=True):
    """Base of all outcomes."""


class Intent(Struct, frozen=True, kw_only=True):
    """Who acts: the idempotency key and the worker's epoch, which appliers check."""

    key: str
    epoch: int


# --- Executor -----------------------------------------------------------------------------------


class RunJob(Action, kw_only=True, frozen=True):
    """Run one job in a fresh work tree: a checkout of ``sha``, or the unpacked ``digest`` if set."""

    run: str
    repository: str
    sha: str
    job: JobPlan
    environment: str = ""
    """Set for jobs around a deployment: they get that environment's gateway addresses."""
    digest: str = ""
    env: dict[str, str] = {}
    needs: tuple[str, ...] = ()
    """Services whose gateway addresses the job sees as ``ANDON_URL_<NAME>``."""
    takes: tuple[str, ...] = ()
    """Blobs to unpack into its work tree first: artifacts of the jobs it needs, in this order."""
    trusted: bool = True
    """False: a stranger's unreviewed change; no secrets, caches are read only."""


class StepDone(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How one piece of a job ended."""

    name: str
    state: StepState
    seconds: float = 0
    exit_code: int | None = None


class CaseDone(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One test of a suite.

    Args:
        id: ``classname::name``, unique in its job.
        state: ``passed``, ``failed``, ``error`` or ``skipped``.
        seconds: How long it took.
        message: Why it failed or was skipped, one line.
        file: Where it is written, if the report says so.
        line: There.
        flaky: It passed, but only at another try within the same attempt of the job.
    """

    id: str
    state: str
    seconds: float = 0
    message: str = ""
    file: str = ""
    line: int = 0
    flaky: bool = False


class TestsDone(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a job's test reports say.

    Args:
        passed: So many.
        failed: With those that ended in an error.
        skipped: So many.
        seconds: Sum of their durations.
        failures: Those that failed, at most 200, in the report's order.
        cases: Blob with all of them (JSON lines of ``CaseDone``, gzip).
        declared: How many the reports say there are; more than were found where a suite broke off.
        flaky: Ids of those that passed only at another try, at most 200.
    """

    __test__ = False
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    failures: tuple[CaseDone, ...] = ()
    cases: str = ""
    declared: int = 0
    flaky: tuple[str, ...] = ()


class CoverageDone(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a job's coverage reports say; ``files`` is a blob (JSON: file to ranges of lines hit)."""

    lines: int = 0
    covered: int = 0
    branches: int = 0
    branches_covered: int = 0
    files: str = ""


class JobDone(Outcome, kw_only=True, frozen=True):
    """How a job ended: state passed, failed, interrupted or cancelled.

    Args:
        state: How.
        fault: Whose, unless it passed.
        exit_code: Of its command.
        seconds: How long it took.
        log: Name of its captured log.
        message: One line for people.
        reason: What ``retry.on`` names: ``failure``, ``timeout``, ``out-of-memory`` or ``machine``.
        steps: Its pieces, where it has several.
        artifact: Blob of the files it leaves to the jobs that need it.
        caches: What became of each cache: ``hit``, ``nearest``, ``miss``, with ``+kept``.
        tests: Its test reports.
        coverage: Its coverage reports.
        benchmarks: Seconds by name.
        cpu_seconds: Processor time of it and its children.
        memory_bytes: The most it had.
    """

    state: StepState
    fault: Fault | None = None
    exit_code: int | None = None
    seconds: float = 0
    log: str = ""
    message: str = ""
    reason: str = ""
    steps: tuple[StepDone, ...] = ()
    artifact: str = ""
    caches: dict[str, str] = {}
    tests: TestsDone | None = None
    coverage: CoverageDone | None = None
    benchmarks: dict[str, float] = {}
    cpu_seconds: float = 0
    memory_bytes: int = 0


class CancelJob(Action, kw_only=True, frozen=True):
    """End a job, with all its children; ``job_key`` is the key of its RunJob."""

    job_key: str


# --- Artifact store -----------------------------------------------------------------------------


class PackArtifact(Action, kw_only=True, frozen=True):
    """Pack a folder of a finished job's work tree (or of a clean checkout) into the store."""

    service: str
    repository: str
    sha: str
    path: str
    job_key: str = ""


class ArtifactPacked(Outcome, kw_only=True, frozen=True):
    """The artifact's identity: digest of the uncompressed, normalised layer."""

    digest: str
    size_bytes: int
    files: int
    purl: str


# --- Desired state ------------------------------------------------------------------------------


class WriteDesired(Action, kw_only=True, frozen=True):
    """Commit what should run; refused (Conflict) unless ``expected`` is what is written there now."""

    environment: str
    service: str
    version: Version | None
    expected: Version | None = None
    force: bool = False
    """A rollback writes whatever is there."""
    message: str = ""


class DesiredWritten(Outcome, kw_only=True, frozen=True):
    """The commit that carries it."""

    commit: str


# --- Target -------------------------------------------------------------------------------------


class DeployReplicas(Action, kw_only=True, frozen=True):
    """Have so many replicas of a version running and ready; answers when they are, or cannot be."""

    environment: str
    service: str
    version: Version
    command: tuple[str, ...]
    config: dict[str, str]
    replicas: int
    health: Health
    resources: Resources
    needs: tuple[str, ...] = ()
    secrets: dict[str, SecretRef] = {}
    metrics: MetricsEndpoint | None = None


class ReplicasReady(Outcome, kw_only=True, frozen=True):
    """Addresses (``host:port``) of ready replicas; they keep them over restarts."""

    endpoints: tuple[str, ...]


class ObserveReplicas(Action, kw_only=True, frozen=True):
    """Look at a version's replicas."""

    environment: str
    service: str
    version: Version


class ReplicasObserved(Outcome, kw_only=True, frozen=True):
    """What was seen."""

    wanted: int
    ready: int
    restarts: int
    message: str = ""


class RetireReplicas(Action, kw_only=True, frozen=True):
    """Stop a version's replicas; only after the data plane confirmed the drain."""

    environment: str
    service: str
    version: Version
    drain_seconds: float = 10


# --- Data plane ---------------------------------------------------------------------------------


class AddBackend(Action, kw_only=True, frozen=True):
    """Make a version reachable at weight 0 (or at 100 if it is the only one)."""

    environment: str
    service: str
    version: Version
    endpoints: tuple[str, ...]
    route: RouteSpec
    health: Health


class BackendAdded(Outcome, kw_only=True, frozen=True):
    """The gateway's address of the service: ``http://127.0.0.1:port``."""

    address: str


class SetWeights(Action, kw_only=True, frozen=True):
    """Share the traffic between versions: percent by version key; unnamed versions get 0."""

    environment: str
    service: str
    weights: dict[str, float]


class RemoveBackend(Action, kw_only=True, frozen=True):
    """Drain a version (weight 0, wait for running requests) and forget it."""

    environment: str
    service: str
    version: Version
    drain_seconds: float = 10


class ObserveTraffic(Action, kw_only=True, frozen=True):
    """Read the cumulative counts of a service's versions.

    Args:
        environment: Where.
        service: Which.
        metrics: Business metrics to read, too.
        since: They are counted from then on, seconds since the Unix epoch.
    """

    environment: str
    service: str
    metrics: tuple[BusinessMetric, ...] = ()
    since: float = 0.0


class Counts(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Cumulative counts of one version since ``TrafficObserved.source`` began.

    Args:
        requests: Requests answered, gateway-made errors included.
        errors: Those with a status of 500 or more, or none at all.
        client_errors: Errors counted once per client and 10-second window.
        attributed_errors: Errors another service's stable version answered because this version,
            behind it, had failed (joined by trace id); once per client and window.
        clients: Distinct clients seen in the last full window.
        latency: Requests by latency bucket (``andon.api.v1.latency``).
        half: Requests, errors and client errors, attributed ones among them, of one half of the clients.
        classes: Requests by what became of them: ``2xx`` to ``5xx``, or ``failed`` without an answer
            to the end; an agent of before says nothing here.
        latency_ms: All requests' durations together.
        table_requests: Requests by the second, independent count.
        table_errors: Errors by the second, independent count.
    """

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    attributed_errors: int = 0
    clients: int = 0
    latency: dict[int, int] = {}
    half: tuple[int, int, int] = (0, 0, 0)
    classes: dict[str, int] = {}
    latency_ms: int = 0
    table_requests: int = 0
    table_errors: int = 0


class TrafficObserved(Outcome, kw_only=True, frozen=True):
    """Counts by version key.

    ``source`` changes whenever the counters began anew (agent or gateway restarted): a reader takes a
    new baseline then. ``consistent`` is False when the two independent counts disagree.
    """

    at: float
    source: str
    versions: dict[str, Counts]
    consistent: bool = True
    message: str = ""
    metrics: dict[str, dict[str, tuple[float, float]]] = {}
    """Gained and occasions since ``ObserveTraffic.since``, by metric and version key; absent: unknown."""


# --- Notifier -----------------------------------------------------------------------------------


class Notify(Action, kw_only=True, frozen=True):
    """POST a JSON body to a webhook."""

    url: str
    body: dict[str, Any]


class Done(Outcome, kw_only=True, frozen=True):
    """Carried out; nothing more to say."""


class ActionFailed(Outcome, kw_only=True, frozen=True):
    """Not carried out. ``fault`` says whose doing: the change's or the machine's."""

    code: str
    message: str
    hint: str = ""
    fault: Fault = "machine"
    retry: bool = False


AnyAction = (
    RunJob
    | CancelJob
    | PackArtifact
    | WriteDesired
    | DeployReplicas
    | ObserveReplicas
    | RetireReplicas
    | AddBackend
    | SetWeights
    | RemoveBackend
    | ObserveTraffic
    | Notify
)
AnyOutcome = (
    JobDone
    | ArtifactPacked
    | DesiredWritten
    | ReplicasReady
    | ReplicasObserved
    | BackendAdded
    | TrafficObserved
    | Done
    | ActionFailed
)

OBSERVATIONS: tuple[type[Action], ...] = (ObserveReplicas, ObserveTraffic)
"""Actions that change nothing."""
