"""BudgetPolicy: what a service may still do when little of its error budget is left."""

from typing import Annotated, Literal

from msgspec import Meta

from andon.api.v1.words import Name, Positive, Record, Spec

BudgetState = Literal["healthy", "caution", "frozen", "exhausted"]
STATES: tuple[BudgetState, ...] = ("healthy", "caution", "frozen", "exhausted")
"""From good to bad."""

Deed = Literal["deploy", "raise-weight", "ramp-flag", "start-experiment"]
DEEDS: tuple[Deed, ...] = ("deploy", "raise-weight", "ramp-flag", "start-experiment")
Effect = Literal["allow", "slow", "approval", "deny"]
"""``slow``: one at a time, so long after the one before; ``approval``: people consent to that Change."""


class BudgetStage(Spec, kw_only=True, frozen=True):
    """When a budget is in a state, and what may be done then. Either condition is enough."""

    remaining_below: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Share of the budget that is left."),
    ] = None
    burn_above: Annotated[
        Positive | None,
        Meta(description="Times faster than allowed, over the last hour."),
    ] = None
    deploy: Effect = "allow"
    raise_weight: Effect = "allow"
    ramp_flag: Effect = "allow"
    start_experiment: Effect = "allow"

    def effects(self) -> dict[str, Effect]:
        """Return what becomes of each deed that is not simply allowed."""
        told: dict[str, Effect] = {
            "deploy": self.deploy,
            "raise-weight": self.raise_weight,
            "ramp-flag": self.ramp_flag,
            "start-experiment": self.start_experiment,
        }
        return {deed: effect for deed, effect in told.items() if effect != "allow"}


class OverrideRule(Spec, kw_only=True, frozen=True):
    """Who may set the policy aside for a while."""

    people: Annotated[
        tuple[str, ...],
        Meta(description="`team:<name>` or `person:<name>`; empty: all who may approve there."),
    ] = ()
    max_seconds: Annotated[float, Meta(ge=60, le=7 * 86400)] = 86400.0


class BudgetPolicySpec(Spec, kw_only=True, frozen=True):
    """What a service may do by the error budget it has left; it acts through Holds and nothing else."""

    objectives: Annotated[
        tuple[Name, ...], Meta(description="Whose budgets; none: of every Objective.")
    ] = ()
    services: Annotated[tuple[Name, ...], Meta(description="Only these; none: all.")] = ()
    environments: Annotated[tuple[Name, ...], Meta(description="Only there; none: anywhere.")] = ()
    caution: BudgetStage = BudgetStage(
        remaining_below=0.5, burn_above=6, deploy="slow", start_experiment="approval"
    )
    frozen: BudgetStage = BudgetStage(
        remaining_below=0.1,
        deploy="approval",
        raise_weight="approval",
        ramp_flag="approval",
        start_experiment="deny",
    )
    exhausted: BudgetStage = BudgetStage(
        remaining_below=0,
        deploy="deny",
        raise_weight="deny",
        ramp_flag="deny",
        start_experiment="deny",
    )
    unknown: Annotated[
        Effect,
        Meta(
            description="What becomes of deeds while the budget was known and cannot be seen now."
        ),
    ] = "approval"
    margin: Annotated[
        float,
        Meta(gt=0, le=0.5, description="So much more must be left before a state is left again."),
    ] = 0.05
    pace_seconds: Annotated[
        float, Meta(ge=60, le=30 * 86400, description="With `slow`: between two deeds of a kind.")
    ] = 4 * 3600.0
    passes: Annotated[
        tuple[Literal["security", "incident"], ...],
        Meta(
            description="Fixes that pass whatever is left, once somebody who may approve calls the "
            "Change one: `andon approve --as security`. Rollbacks always pass."
        ),
    ] = ("security", "incident")
    override: OverrideRule = OverrideRule()


class BudgetStanding(Record, kw_only=True, frozen=True):
    """Where a budget stood when its state last changed."""

    state: BudgetState = "healthy"
    since: float = 0
    remaining: float | None = None
    burn: float | None = None
    objective: str = ""
    """Whose budget is the worst."""
    unknown_since: float = 0
    """Since when it cannot be seen; 0: it can."""
    hold: str = ""


class BudgetSpec(Record, kw_only=True, frozen=True):
    """The budgets of a service in an environment, as a BudgetPolicy sees them."""

    policy: str
    environment: str
    service: str


class OverrideSpec(Record, kw_only=True, frozen=True):
    """A person sets a BudgetPolicy aside, for a while.

    Args:
        policy: Its name.
        environment: Only there; empty: wherever it holds.
        service: Only this one; empty: all.
        reason: Why.
        by: Who, ``person:<name>``.
        created_at: Seconds since the Unix epoch.
        until: When it ends.
    """

    policy: str
    reason: str
    by: str
    created_at: float
    until: float
    environment: str = ""
    service: str = ""
