"""What a judge of rollouts looks at: counts of both arms in one interval, as they are stored."""

from __future__ import annotations

from msgspec import Struct


class ArmCounts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one arm did in one interval; never negative.

    Args:
        requests: Requests answered.
        errors: Those that failed.
        client_errors: Failures counted once per client and 10-second window.
        clients: Distinct clients in the last full window; 0 while unknown.
        latency: Requests by bucket of ``andon.api.v1.latency``.
        half: Requests, errors and client errors of one half of the clients, by the hash of their key;
            no requests: not known.
    """

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    clients: int = 0
    latency: dict[int, int] = {}
    half: tuple[int, int, int] = (0, 0, 0)


class Sample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One interval, and what else was known when it was judged.

    Args:
        at: End of the interval, seconds since the Unix epoch.
        seconds: Its length.
        weight: Percent of the traffic that the canary was given.
        canary: Its counts.
        stable: Those of the version it replaces; None for a first release.
        last_step: The rollout was at its last step.
        soak_done: The planned soak was over.
        restarts: Restarts of canary replicas since the rollout began.
        consistent: The two independent counts agreed.
        metrics: What business metrics did, by name.
    """

    at: float
    seconds: float
    weight: float
    canary: ArmCounts
    stable: ArmCounts | None = None
    last_step: bool = False
    soak_done: bool = False
    restarts: int = 0
    consistent: bool = True
    metrics: dict[str, MetricCounts] = {}


class MetricCounts(Struct, frozen=True, array_like=True):
    """What a business metric did in one interval: how much was gained, of how many occasions.

    Args:
        canary_gained: Such as orders.
        canary_occasions: Such as visits.
        stable_gained: The same of the version before.
        stable_occasions: The same of the version before.
    """

    canary_gained: float
    canary_occasions: float
    stable_gained: float
    stable_occasions: float
