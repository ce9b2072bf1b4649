"""Definitions: what people want, kept in git.

Field docstrings live in ``Annotated`` descriptions; the JSON Schema, the editor help and
``docs/kinds/`` are generated from them.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.checks import CheckSpec
from andon.api.v1.objectives import LatencyObjective as LatencyObjective
from andon.api.v1.objectives import ObjectiveSpec as ObjectiveSpec
from andon.api.v1.pipelines import DeployJob, PipelineSpec, TemplateSpec
from andon.api.v1.words import Name, Port, Positive, Ratio, Seconds, Secrets, Spec

API_VERSION = "andon/v1"


class Metadata(Spec, kw_only=True, frozen=True):
    """What a document is called."""

    name: Name
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class ArtifactSource(Spec, kw_only=True, frozen=True):
    """What is packed, and from where."""

    path: Annotated[
        str,
        Meta(min_length=1, description="Folder in the job's work tree that becomes the artifact."),
    ] = "."
    job: Annotated[
        Name | None,
        Meta(description="Pipeline job whose work tree is packed; a clean checkout if unset."),
    ] = None


class Health(Spec, kw_only=True, frozen=True):
    """How Andon learns that a replica is ready."""

    path: Annotated[
        str, Meta(pattern=r"^/\S*$", description="GET answers 2xx or 3xx when ready.")
    ] = "/"
    interval_seconds: Annotated[float, Meta(ge=0.05, le=300)] = 0.5
    timeout_seconds: Annotated[float, Meta(ge=0.05, le=60)] = 2
    ready_within_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="A replica not ready by then has failed.")
    ] = 30


class MetricsEndpoint(Spec, kw_only=True, frozen=True):
    """Where each replica tells its metrics, as Prometheus or OpenMetrics text."""

    path: Annotated[str, Meta(pattern=r"^/\S*$")] = "/metrics"
    port: (
        Annotated[int, Meta(ge=1, le=65535, description="If it is not $PORT: one replica only.")]
        | None
    ) = None


class Resources(Spec, kw_only=True, frozen=True):
    """Limits of one replica, applied where the machine allows (see `andon doctor`)."""

    memory_bytes: Annotated[int, Meta(ge=16_777_216)] | None = None
    cpu: Annotated[float, Meta(gt=0, description="Cores.")] | None = None
    processes: Annotated[int, Meta(ge=1)] | None = None


class ServiceSpec(Spec, kw_only=True, frozen=True):
    """A program that answers requests."""

    command: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="Program and arguments, run in the unpacked artifact; it must listen on $PORT.",
        ),
    ]
    artifact: ArtifactSource = ArtifactSource()
    health: Health = Health()
    replicas: Annotated[int, Meta(ge=1, le=100)] = 1
    needs: Annotated[
        tuple[Name, ...],
        Meta(
            description="Services it calls; their addresses arrive as $ANDON_URL_<NAME>, through the "
            "gateway."
        ),
    ] = ()
    config: Annotated[
        dict[str, str], Meta(description="Base configuration: environment variables.")
    ] = {}
    secrets: Secrets = {}
    resources: Resources = Resources()
    metrics: Annotated[
        MetricsEndpoint | None,
        Meta(description="Its metrics are scraped from there; unset: nowhere."),
    ] = None
    drain_seconds: Annotated[
        float, Meta(ge=0, le=600, description="Longest wait for running requests when stopping.")
    ] = 10
    pre_deploy: tuple[DeployJob, ...] = ()
    post_deploy: tuple[DeployJob, ...] = ()


class Overlay(Spec, kw_only=True, frozen=True):
    """What an environment changes of a service."""

    replicas: Annotated[int, Meta(ge=1, le=100)] | None = None
    config: dict[str, str] = {}
    resources: Resources | None = None


class RolloutStep(Spec, kw_only=True, frozen=True):
    """One weight and how long to stay at it."""

    weight: Annotated[float, Meta(gt=0, le=100, description="Percent of the traffic.")]
    min_seconds: Annotated[float, Meta(ge=0, description="Never advance sooner.")] = 30
    max_seconds: Annotated[
        float, Meta(gt=0, description="Without a verdict by then: wait, say so, ask a person.")
    ] = 1800


class BusinessMetric(Spec, kw_only=True, frozen=True):
    """What a version gains per occasion, such as orders per visit, from counters its replicas tell."""

    name: Name
    gained: Annotated[
        str,
        Meta(
            pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
            description="Counter of what is gained, such as `orders_total`.",
        ),
    ]
    of: Annotated[
        str,
        Meta(
            pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
            description="Counter of the occasions, such as `visits_total`.",
        ),
    ]
    labels: Annotated[
        dict[str, str], Meta(max_length=10, description="Only series of both that have these.")
    ] = {}
    most: Annotated[
        Positive,
        Meta(
            description="Gain per occasion that a hundred occasions never reach on average. Three times the "
            "usual one is seen soonest; what is more counts as this."
        ),
    ] = 1.0
    tolerated_loss: Annotated[
        float, Meta(ge=0, le=0.9, description="Share of the usual gain that may be lost.")
    ] = 0.1


TOLERATED_SLOWDOWN = 0.33
"""Three buckets of the latency scale."""


class JudgePolicy(Spec, kw_only=True, frozen=True):
    """The error rates the canary judge is held to; see docs/judge.md."""

    alpha: Annotated[
        Ratio, Meta(description="Chance that a good release is ever rolled back by the judge.")
    ] = 0.01
    beta: Annotated[
        Ratio, Meta(description="Chance that a release is called fit to promote when it is not.")
    ] = 0.05
    tolerance: Annotated[
        float, Meta(ge=1, le=10, description="Relative risk that is still called harmless.")
    ] = 1.25
    tolerated_slowdown: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Requests may take longer by this share before they count as slow. The default of a "
            "third also forgives 20 ms, a smaller share as much less. 0: neither that nor a slow spell.",
        ),
    ] = TOLERATED_SLOWDOWN
    metrics: Annotated[
        tuple[BusinessMetric, ...],
        Meta(
            max_length=10, description="What a version must not lose, besides errors and latency."
        ),
    ] = ()
    max_excess_errors: Annotated[
        int,
        Meta(ge=1, description="Hard guard: errors of the canary beyond the Objective's share."),
    ] = 500
    max_restarts: Annotated[
        int, Meta(ge=1, description="Hard guard: restarts of canary replicas during the rollout.")
    ] = 3


_PLAN = (
    RolloutStep(weight=10),
    RolloutStep(weight=25),
    RolloutStep(weight=50),
    RolloutStep(weight=100),
)


class RolloutPolicy(Spec, kw_only=True, frozen=True):
    """How a version takes over."""

    strategy: Annotated[
        Literal["canary", "rolling"],
        Meta(
            description="`canary` shifts traffic by weight and judges each step; `rolling` switches over "
            "once every replica is ready."
        ),
    ] = "rolling"
    steps: Annotated[tuple[RolloutStep, ...], Meta(min_length=1)] = _PLAN
    warmup_seconds: Annotated[
        Seconds, Meta(description="Counted but not judged after a version first takes traffic.")
    ] = 5
    soak_seconds: Annotated[
        Seconds, Meta(description="At full weight without an alarm, before the old version leaves.")
    ] = 300
    judge: JudgePolicy = JudgePolicy()
    group: Annotated[
        Name | None,
        Meta(
            description="The services of one Change that roll out here stand or fall together: once one "
            "turns back, all do, and none lets its old version go before all are judged."
        ),
    ] = None


class Approvals(Spec, kw_only=True, frozen=True):
    """How many people must consent, and who counts. Nobody approves a change of their own."""

    count: Annotated[int, Meta(ge=1, le=10, description="So many different people.")] = 1
    people: Annotated[
        tuple[str, ...],
        Meta(
            description="Whose consent counts: `team:<name>` or `person:<name>`; empty: all who may "
            "approve here."
        ),
    ] = ()

    def counts(self, by: str, teams: Iterable[str]) -> bool:
        """Say whether somebody's consent counts.

        Args:
            by: Who, ``person:<name>``.
            teams: Names of their teams.

        >>> Approvals(people=("team:sre",)).counts("person:ann", ["sre", "shop"])
        True
        """
        return not self.people or bool({by, *(f"team:{team}" for team in teams)} & {*self.people})


class EnvironmentSpec(Spec, kw_only=True, frozen=True):
    """A place where versions run: rules (read from the policy branch) and an overlay (from the Change)."""

    base: Annotated[
        Name | None,
        Meta(description="Another Environment whose fields hold where this one is silent."),
    ] = None
    after: Annotated[
        Name | None, Meta(description="A version must have been deployed there first.")
    ] = None
    requires: Annotated[
        tuple[str, ...],
        Meta(description="Checks that need passing Evidence about the artifact, such as `tests`."),
    ] = ()
    skippable: Annotated[
        tuple[str, ...],
        Meta(
            description="Those of `requires` that count as fulfilled where a rule (`if`, `paths`) skipped "
            "the job; a skip opens no gate otherwise."
        ),
    ] = ()
    approvals: Annotated[
        Approvals | None,
        Meta(description="Consent of people; asked for besides what `requires` names."),
    ] = None
    max_age_seconds: Annotated[
        float, Meta(gt=0, description="Evidence about an artifact older than this does not count.")
    ] = 30 * 86400.0
    rollout: RolloutPolicy | UnsetType = UNSET
    config: Annotated[dict[str, str], Meta(description="Configuration of every service here.")] = {}
    services: Annotated[dict[Name, Overlay], Meta(description="Overlay by service.")] = {}
    notify: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^https?://\S+$")], ...],
        Meta(description="Webhooks told when the line stops here."),
    ] = ()


class ClientKey(Spec, kw_only=True, frozen=True):
    """How the gateway tells clients apart: the first of these that a request has, then its address."""

    header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+$")] | None = None
    cookie: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+$")] | None = None


class RouteSpec(Spec, kw_only=True, frozen=True):
    """How requests reach a service."""

    service: Name
    listen: Annotated[
        dict[Name, Port], Meta(description="Local port by environment; chosen and kept if absent.")
    ] = {}
    client_key: ClientKey = ClientKey()
    timeout_seconds: Annotated[float, Meta(gt=0, le=3600)] = 30


AnySpec = (
    ServiceSpec
    | PipelineSpec
    | TemplateSpec
    | EnvironmentSpec
    | ObjectiveSpec
    | RouteSpec
    | BudgetPolicySpec
    | CheckSpec
)

DEFINITIONS: dict[str, type[AnySpec]] = {
    "Service": ServiceSpec,
    "Pipeline": PipelineSpec,
    "Template": TemplateSpec,
    "Environment": EnvironmentSpec,
    "Objective": ObjectiveSpec,
    "Route": RouteSpec,
    "BudgetPolicy": BudgetPolicySpec,
    "Check": CheckSpec,
}
"""Kinds people write, by name."""

POLICY_KINDS = frozenset({"Environment", "Objective", "Route", "BudgetPolicy", "Check"})
"""Kinds whose rules are read from the policy branch only, never at the Change's own commit."""

RULE_KINDS = frozenset({"Objective", "BudgetPolicy", "Check"})
"""Policy kinds that are taken into the store as objects: what watches running systems goes by them."""


class Definition(Struct, frozen=True, kw_only=True):
    """A parsed document."""

    kind: str
    metadata: Metadata
    spec: AnySpec
    file: str = ""
    line: int = 0
    language: str = API_VERSION
    """What it was written in; an Objective of OpenSLO may be about a service that runs elsewhere."""
