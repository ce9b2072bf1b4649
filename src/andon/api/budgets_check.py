"""Is a BudgetPolicy one that can hold anything, and in the order it says?"""

from __future__ import annotations

from collections.abc import Iterator

from andon.api.templates import Finding
from andon.api.v1.budgets import BudgetPolicySpec

_STAGES = ("caution", "frozen", "exhausted")


def default_objectives(service: str) -> tuple[str, str]:
    """Return the names of what every Service promises where nobody wrote an Objective."""
    return f"{service}-availability", f"{service}-latency"


def check_budget_policy(spec: BudgetPolicySpec) -> Iterator[Finding]:
    """Yield what is wrong with a BudgetPolicy by itself: path, message, hint.

    >>> [finding.message for finding in check_budget_policy(BudgetPolicySpec())]
    []
    """
    below: float | None = None
    for name in _STAGES:
        stage = getattr(spec, name)
        left = stage.remaining_below
        if stage.effects() and left is None and stage.burn_above is None:
            message = "this state could never be entered: it has no condition"
            yield Finding(("spec", name), message, "`remainingBelow`, or `burnAbove`")
        if below is not None and left is not None and left > below:
            message = f"{left:g} is more than the milder state before it asks for ({below:g})"
            hint = "caution, frozen, exhausted: from more left to less"
            yield Finding(("spec", name, "remainingBelow"), message, hint)
        below = left if left is not None else below
