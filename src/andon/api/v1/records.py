"""Records: what controllers write. A record's spec never changes; its status is its controller's."""

from typing import Any, Literal, Self

from msgspec import Struct

from andon.api.v1.definitions import (
    Approvals,
    EnvironmentSpec,
    Health,
    MetricsEndpoint,
    ObjectiveSpec,
    Resources,
    RolloutPolicy,
    RouteSpec,
    ServiceSpec,
)
from andon.api.v1.jobs import BuildPlan, JobPlan, SecretRef
from andon.api.v1.pipelines import PipelineSpec, TemplateSpec
from andon.api.v1.words import Record

Fault = Literal["change", "machine"]
Verdict = Literal["Pass", "Fail", "Inconclusive"]
StepState = Literal[
    "waiting",
    "running",
    "passed",
    "failed",
    "skipped-by-rule",
    "not-run",
    "interrupted",
    "quarantined",
    "cancelled",
]
Phase = Literal["Pending", "Running", "Waiting", "Succeeded", "Failed", "RolledBack", "Cancelled"]
TERMINAL: frozenset[str] = frozenset({"Succeeded", "Failed", "RolledBack", "Cancelled"})
ENDED_STEP: frozenset[str] = frozenset(
    {"passed", "failed", "skipped-by-rule", "not-run", "interrupted", "quarantined", "cancelled"}
)


class Subject(Record, kw_only=True, frozen=True):
    """What a claim or a Hold is about; empty fields match anything."""

    service: str = ""
    environment: str = ""
    digest: str = ""
    config_hash: str = ""
    change: str = ""

    def matches(self, other: Self) -> bool:
        """Say whether every field set here equals the other's.

        >>> Subject(environment="prod").matches(Subject(environment="prod", service="shop"))
        True
        """
        return all(
            not mine or mine == theirs
            for mine, theirs in zip(_fields(self), _fields(other), strict=True)
        )

    def __str__(self) -> str:
        parts = [
            f"service {self.service}" if self.service else "",
            f"environment {self.environment}" if self.environment else "",
            f"digest {self.digest.removeprefix('sha256:')[:12]}" if self.digest else "",
            f"configuration {self.config_hash}" if self.config_hash else "",
            f"change {self.change}" if self.change else "",
        ]
        return ", ".join(part for part in parts if part) or "everything"


def _fields(subject: Subject) -> tuple[str, ...]:
    return (
        subject.service,
        subject.environment,
        subject.digest,
        subject.config_hash,
        subject.change,
    )


class Version(Record, kw_only=True, frozen=True):
    """What can run: an artifact and a configuration."""

    digest: str
    config_hash: str
    change: str = ""

    @property
    def key(self) -> str:
        """Name for backends, folders and counters: 12 digits of the digest and the configuration's."""
        return f"{self.digest.removeprefix('sha256:')[:12]}-{self.config_hash[:12]}"


# --- Change -------------------------------------------------------------------------------------


BUILD_ONLY = "@build"
"""In place of an environment to stop after: build, and deploy nowhere. No environment has such a name."""


class ChangeSpec(Record, kw_only=True, frozen=True):
    """A commit, with the definitions it carries and the rules it is judged by."""

    repository: str
    sha: str
    ref: str
    author: str
    message: str
    committed_at: float
    policy_revision: str
    """Commit that the rules below were read from."""
    pipeline_name: str
    pipeline: PipelineSpec
    services: dict[str, ServiceSpec]
    environments: dict[str, EnvironmentSpec]
    """Rules: Environments of the policy revision, bases already merged."""
    overlays: dict[str, EnvironmentSpec] = {}
    """Configuration: Environments at the Change's own commit, bases already merged."""
    objectives: dict[str, ObjectiveSpec] = {}
    routes: dict[str, RouteSpec] = {}
    notify: tuple[str, ...] = ()
    """Webhooks told besides those of the environments."""
    until: str = ""
    """Environment to stop after, or ``BUILD_ONLY``; empty: as far as the gates allow."""
    sequence: int = 0
    """Order of arrival in the repository; a later Change supersedes an earlier one that waits."""
    committer: str = ""
    """Who made the commit of what the author wrote."""
    brought_by: tuple[str, ...] = ()
    """Addresses of who put it on the line, as far as a forge or Andon itself knows them."""
    event: str = "push"
    """What brought it: ``push``, ``pull-request``, ``schedule`` or ``manual``."""
    paths: tuple[str, ...] | None = None
    """What it touches; None: not known."""
    trusted: bool = True
    templates: dict[str, TemplateSpec] = {}
    """Templates its pipeline uses, by ``source@revision/file#name`` (own ones: ``#name``)."""
    input_digests: dict[str, str] = {}
    """Mode and id of the files that jobs declare as their inputs, by path."""
    origins: dict[str, str] = {}
    """Where jobs and Templates are written (``file:line``): ``job/<name>``, ``template/<key>``,
    ``template/<key>/job/<name>``."""


class ChangeStatus(Record, kw_only=True, frozen=True):
    """How far a Change has come."""

    phase: Phase = "Pending"
    environments: dict[str, Phase] = {}
    message: str = ""
    started_at: float = 0
    finished_at: float = 0


# --- Run ----------------------------------------------------------------------------------------

RunType = Literal["build", "rollout", "rollback"]


class RolloutPlan(Record, kw_only=True, frozen=True):
    """Everything a rollout Run needs, frozen when it is created."""

    service: str
    environment: str
    repository: str
    sha: str
    version: Version
    command: tuple[str, ...]
    config: dict[str, str]
    replicas: int
    health: Health
    resources: Resources
    drain_seconds: float
    needs: tuple[str, ...]
    requires: tuple[str, ...]
    max_age_seconds: float
    rollout: RolloutPolicy
    route: RouteSpec
    objective: ObjectiveSpec | None = None
    pre_deploy: tuple[JobPlan, ...] = ()
    post_deploy: tuple[JobPlan, ...] = ()
    notify: tuple[str, ...] = ()
    reason: str = ""
    """Why a rollback was asked for, or whose rotation of a secret this is."""
    base: str = ""
    """Key of the one version that this one may replace: it runs the same with newer secrets."""
    secrets: dict[str, SecretRef] = {}
    """Secrets the replicas see, by environment variable; their versions are part of the configuration."""
    approvals: Approvals | None = None
    skippable: tuple[str, ...] = ()
    """Required checks that may have been skipped by a rule."""
    metrics: MetricsEndpoint | None = None


class RunSpec(Record, kw_only=True, frozen=True):
    """Steps being carried out."""

    type: RunType
    change: str
    build: BuildPlan | None = None
    rollout: RolloutPlan | None = None
    sequence: int = 0
    schedule: str = ""
    """The Schedule that asked for it; empty: the Change did."""


class RunStatus(Record, kw_only=True, frozen=True):
    """Where a Run stands. ``memory`` is its controller's own notes (JSON), opaque to everybody else."""

    phase: Phase = "Pending"
    reason: str = ""
    message: str = ""
    weight: float = 0
    previous: Version | None = None
    verdict: str = ""
    """Last answer of the judge: Advance, RollBack, Wait or Untrustworthy."""
    expected_seconds: float = 0
    """With Wait: how long the judge thinks it still needs at today's traffic."""
    evidence_log: float = 0
    """ln E against harm, and its threshold, for progress displays."""
    evidence_threshold: float = 0
    fit_log: float = 0
    fit_threshold: float = 0
    canary_requests: int = 0
    canary_errors: int = 0
    stable_requests: int = 0
    stable_errors: int = 0
    started_at: float = 0
    verdict_at: float = 0
    zero_weight_at: float = 0
    finished_at: float = 0
    past_irreversible: bool = False
    memory: dict[str, Any] = {}


class StepRow(Record, kw_only=True, frozen=True):
    """One step of a Run; a row of its own."""

    name: str
    position: int
    state: StepState = "waiting"
    attempt: int = 0
    fault: Fault | None = None
    message: str = ""
    log: str = ""
    """Name of its captured log, if it has one."""
    started_at: float = 0
    finished_at: float = 0
    artifact: str = ""
    """Blob of the files it left to the jobs that need it."""
    failures: int = 0
    """Attempts that failed by the change's fault and were followed by another."""
    figures: dict[str, Any] = {}
    """What Evidence about it will say: ``skipped``, ``flaky``, ``quarantined``, ``reused``, ``by``,
    ``tests``, ``coverage``, ``benchmarks``."""


class JobResultSpec(Record, kw_only=True, frozen=True):
    """A job that passed with all its inputs declared: where they are the same again, it counts.

    Args:
        key: Digest of everything it depends on.
        repository: Where; its results are nobody else's.
        run: The Run in which it passed.
        job: Its name there.
        at: When, seconds since the Unix epoch.
        artifact: Blob of the files it left.
        expires_at: When those are no longer kept; 0: it left none.
    """

    key: str
    repository: str
    run: str
    job: str
    at: float
    artifact: str = ""
    expires_at: float = 0


class CancellationSpec(Record, kw_only=True, frozen=True):
    """A person's wish that a Run ends; it has the Run's name, and the Run's controller fulfils it."""

    run: str
    by: str
    reason: str
    asked_at: float


# --- Artifact, Evidence, Hold, and what else is kept ---------------------------------------------


class ArtifactSpec(Record, kw_only=True, frozen=True):
    """A packed build output; its digest is its name."""

    digest: str
    service: str
    change: str
    size_bytes: int
    files: int
    purl: str


class EvidenceSpec(Record, kw_only=True, frozen=True):
    """A claim about a subject."""

    subject: Subject
    check: str
    verdict: Verdict
    source: str
    observed_at: float
    message: str = ""
    value: dict[str, Any] = {}
    coverage: float | None = None
    """Share of what should have been looked at that was, 0 to 1."""


class HoldSpec(Record, kw_only=True, frozen=True):
    """The cord. Identified by (source, scope)."""

    scope: Subject
    reason: str
    source: str
    """Who pulled it: ``person:<name>``, ``judge``, ``latch``..."""
    lift: Literal["Automatic", "Manual"] = "Manual"
    created_at: float = 0
    expires_at: float = 0
    """0: never."""
    run: str = ""
    effects: dict[str, str] = {}
    """What becomes of which deed (``deploy``, ``raise-weight``…): ``deny``, ``approval`` (consent to the
    Change given since opens it) or ``slow``; a deed not named is not stopped. Empty: all are."""
    pace_seconds: float = 0
    """With ``slow``: so long after the one before."""
    passes: tuple[str, ...] = ()
    """What an Approval may call a Change (``security``…) for it to pass all the same."""


class HoldStatus(Record, kw_only=True, frozen=True):
    """Whether the cord is still pulled."""

    lifted_at: float = 0
    lifted_by: str = ""
    lift_reason: str = ""


class EnvironmentRecordStatus(Record, kw_only=True, frozen=True):
    """What runs in an environment, per service, as the last finished rollout left it."""

    services: dict[str, Version] = {}
    runs: dict[str, str] = {}
    """Run that brought each version, by service; its plan tells how to run it."""
    previous: dict[str, str] = {}
    """Run that brought the version before, by service: where a rollback goes."""
    since: dict[str, float] = {}
    synced: dict[str, str] = {}
    """What the last look at each service said, where it was not as desired."""
    memory: dict[str, Any] = {}


class Empty(Record, kw_only=True, frozen=True):
    """Status of records that never change."""


class Object(Struct, frozen=True, kw_only=True):
    """A stored object: identity, spec, status and the version used for compare-and-swap."""

    kind: str
    name: str
    uid: str
    spec: Any
    status: Any
    generation: int = 1
    version: int = 0
    labels: dict[str, str] = {}
    created_at: float = 0

    @property
    def key(self) -> tuple[str, str]:
        """(kind, name)."""
        return (self.kind, self.name)
