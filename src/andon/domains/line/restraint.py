"""Holds that stop some deeds only: what they come to, and what opens them."""

from __future__ import annotations

from andon.api.v1.records import HoldSpec
from andon.domains.line.gate import DEPLOY, effect_of

BUDGET = "budget:"
"""Beginning of the source of Holds that a BudgetPolicy pulled; its name follows."""


def override_command(spec: HoldSpec) -> str:
    """Return the command that sets aside the BudgetPolicy that pulled a Hold.

    >>> from andon.api.v1.records import Subject
    >>> scope = Subject(service="shop", environment="prod")
    >>> override_command(HoldSpec(scope=scope, reason="", source="budget:all"))
    'andon budget override all --environment prod --service shop --for 2h -m REASON'
    """
    place = f" --environment {spec.scope.environment}" if spec.scope.environment else ""
    whose = f" --service {spec.scope.service}" if spec.scope.service else ""
    return (
        f"andon budget override {spec.source.removeprefix(BUDGET)}{place}{whose} --for 2h -m REASON"
    )


def stops_deploys(spec: HoldSpec) -> bool:
    """Say whether a Hold stops a deploy, or slows it down."""
    return effect_of(spec, DEPLOY) != "allow"


def opens_restraint(spec: HoldSpec) -> str:
    """Say what lets a version in all the same."""
    match effect_of(spec, DEPLOY):
        case "approval":
            return f"andon approve CHANGE --environment {spec.scope.environment} -m REASON"
        case "slow":
            return "nothing to do: it lets one after the other pass"
        case "allow":
            return "nothing to do: it stops no deploy"
    return override_command(spec)
