"""Which burn-rate alerts follow from an Objective's target and window, and which could ever fire.

T is the target, ``b = 1 - T`` the share that may fail, P the period the target holds for, all times in
seconds. A burn of 1 spends the budget in just that period; if all fails, it is 1 / b, and never more.

Source: B. Beyer et al., *The Site Reliability Workbook* (O'Reilly 2018), chapter 5.
"""

from __future__ import annotations

from msgspec import Struct

from andon.api.v1.alerts import Severity

HOUR = 3600.0
DAY = 86_400.0
THIRTY_DAYS = 30 * DAY
LOWEST_FACTOR = 0.9
"""Burning slower than this is within the Objective: such a tier is scaled to the period instead."""


class Tier(Struct, frozen=True):
    """A multi-window burn-rate condition: this share of the budget within ``long_seconds``.

    Args:
        budget_ratio: Share of the period's budget.
        long_seconds: The window that it is spent in.
        short_seconds: The window that must burn as fast, so that the alert ends soon after the trouble.
    """

    budget_ratio: float
    long_seconds: float
    short_seconds: float


TIERS: tuple[tuple[Tier, Severity], ...] = (
    (Tier(0.02, HOUR, HOUR / 12), "page"),
    (Tier(0.05, 6 * HOUR, HOUR / 2), "page"),
    (Tier(0.10, DAY, 2 * HOUR), "ticket"),
    (Tier(0.10, 3 * DAY, 6 * HOUR), "ticket"),
)
"""Shares of a month's budget, and the windows that they are spent in."""


class Derived(Struct, frozen=True, kw_only=True):
    """An alert that every Objective has.

    Args:
        name: Of its kind, such as ``page-1h``.
        severity: Page or ticket.
        tier: Share of the budget, and its windows.
        factor: Burn above which it fires.
    """

    name: str
    severity: Severity
    tier: Tier
    factor: float


def derived_alerts(period_seconds: float) -> tuple[Derived, ...]:
    """Return the alerts of a period, whatever the target.

    >>> [(one.name, round(one.factor, 2)) for one in derived_alerts(THIRTY_DAYS)]
    [('page-1h', 14.4), ('page-6h', 6.0), ('ticket-1d', 3.0), ('ticket-3d', 1.0)]
    """
    return tuple(_derived(tier, severity, period_seconds) for tier, severity in TIERS)


def _derived(tier: Tier, severity: Severity, period_seconds: float) -> Derived:
    own = factor(tier.budget_ratio, tier.long_seconds, period_seconds)
    if own < LOWEST_FACTOR or tier.long_seconds > period_seconds:
        tier = scaled(tier, period_seconds)
        own = factor(tier.budget_ratio, tier.long_seconds, period_seconds)
    name = f"{severity}-{length(tier.long_seconds)}"
    return Derived(name=name, severity=severity, tier=tier, factor=own)


def factor(budget_ratio: float, window_seconds: float, period_seconds: float) -> float:
    """Return the burn that spends a share of the period's budget within a window: p times P / w.

    >>> round(factor(0.02, 3600, 30 * DAY), 2), round(factor(0.02, 3600, 7 * DAY), 2)
    (14.4, 3.36)
    """
    return float(f"{budget_ratio * period_seconds / window_seconds:.12g}")


def scaled(tier: Tier, period_seconds: float) -> Tier:
    """Return a tier of the 30-day table for another period: its windows shrink or grow with it.

    >>> scaled(Tier(0.02, 3600, 300), 15 * DAY)
    Tier(budget_ratio=0.02, long_seconds=1800.0, short_seconds=150.0)
    """
    by = period_seconds / THIRTY_DAYS
    return Tier(tier.budget_ratio, tier.long_seconds * by, tier.short_seconds * by)


def can_fire(burn_factor: float, target: float) -> bool:
    """Say whether an alert on this burn can ever fire: not where it would take more than all to fail.

    >>> can_fire(14.4, 0.999), can_fire(14.4, 0.93)
    (True, False)
    """
    return burn_factor * (1 - target) < 1 - 1e-9


def lowest_target(burn_factor: float) -> float:
    """Return the target that an alert on this burn needs more than.

    >>> round(lowest_target(14.4), 4)
    0.9306
    """
    return max(0.0, 1 - 1 / burn_factor)


def refuse_unfireable(burn_factor: float, target: float) -> str:
    """Say why an alert on this burn is of no use; empty: it can fire.

    >>> refuse_unfireable(14.4, 0.999)
    ''
    """
    if can_fire(burn_factor, target):
        return ""
    most, least = 1 / (1 - target), 100 * lowest_target(burn_factor)
    return (
        f"it could never fire: even if all fails, the burn is {most:.3g}, not above {burn_factor:.3g}; "
        f"it takes a target over {least:.4g} %"
    )


def length(seconds: float) -> str:
    """Write a length in the largest unit that it is a whole number of.

    >>> length(3600.0), length(86400.0), length(300.0), length(60480.0)
    ('1h', '1d', '5m', '1008m')
    """
    for unit, size in (("d", DAY), ("h", HOUR), ("m", 60.0)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"
