"""Requests slower than thresholds that were frozen before the canary took traffic."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.latency import bucket_of, upper_bound
from andon.api.v1.objectives import ObjectiveSpec
from andon.api.v1.samples import ArmCounts, Sample
from andon.calc.dispersion import Dispersion, dispersion, learn, share_of
from andon.calc.histogram import exceeding, quantile_bucket
from andon.calc.sequential import bet, first_logs, risk_share

QUANTILES = (0.5, 0.9, 0.99, 0.995, 0.998)
"""Close together at the tail: with the margin below, a second more on 2 % of the requests shows there."""

SLOWER_BUCKETS, SLOWER_SECONDS = 3, 0.02
"""A canary is called slower only beyond a third more and 20 ms more than the frozen threshold."""

LATENCY_DISPERSION = 2.0
LATENCY_NATS_PER_SECOND = 0.2
"""Slow requests come in spells: one spell of a single replica must never decide."""


class Stream(Struct, frozen=True, array_like=True):
    """Requests slower than one frozen threshold.

    Args:
        bucket: The threshold, for the stable arm.
        allowed: The canary's threshold: slower than ``bucket`` by what nobody minds.
        allowed_share: What the Objective allows; None for a quantile, which is only compared.
        logs: Stakes of the alternatives.
        noise: How many slow requests the stable arm has, and how clustered.
        slow: Canary requests slower than ``allowed``.
        timed: Canary requests with a known latency.
    """

    bucket: int
    allowed: int
    allowed_share: float | None
    logs: tuple[float, ...]
    noise: Dispersion = Dispersion()
    slow: int = 0
    timed: int = 0


def frozen_thresholds(
    stable_latency: Mapping[int, int], objective: ObjectiveSpec | None
) -> tuple[int, ...]:
    """Choose the latency thresholds before the canary takes traffic.

    Args:
        stable_latency: Requests of the running version by bucket; empty for a first release.
        objective: Its latency limit becomes a threshold too.

    >>> frozen_thresholds({10: 500, 20: 490, 30: 10}, None)
    (10, 20, 30)
    """
    chosen = set()
    if sum(stable_latency.values()):
        chosen = {quantile_bucket(stable_latency, quantile) for quantile in QUANTILES}
    if objective and objective.latency:
        chosen.add(bucket_of(objective.latency.threshold_seconds))
    return tuple(sorted(chosen))


def begin_stream(bucket: int, objective: ObjectiveSpec | None) -> Stream:
    """Begin one threshold."""
    slower = bucket_of(upper_bound(bucket) + SLOWER_SECONDS)
    limit = objective.latency if objective else None
    is_limit = limit is not None and bucket == bucket_of(limit.threshold_seconds)
    return Stream(
        bucket=bucket,
        allowed=max(bucket + SLOWER_BUCKETS, slower),
        allowed_share=1 - limit.target if limit and is_limit else None,
        logs=first_logs(),
    )


def bet_on_latency(stream: Stream, tolerance: float, sample: Sample, stable: ArmCounts) -> Stream:
    """Judge the requests of one interval that were slower than a threshold."""
    hits = exceeding(sample.canary.latency, stream.allowed)
    timed = sum(sample.canary.latency.values())
    stable_hits = exceeding(stable.latency, stream.bucket)
    stable_timed = sum(stable.latency.values())
    if stable_timed and timed:
        trials, share = hits + stable_hits, risk_share(timed, stable_timed, tolerance)
    elif stream.allowed_share is not None and not stable.requests:
        trials = timed
        share = tolerated_rate(stream.allowed_share, share_of(stream.noise), tolerance)
    else:
        return stream
    return replace(
        stream,
        logs=bet(
            stream.logs,
            hits,
            trials,
            share,
            temper=dispersion(stream.noise, LATENCY_DISPERSION),
            cap=LATENCY_NATS_PER_SECOND * sample.seconds,
        ),
        noise=learn(stream.noise, stable_hits, stable_timed),
        slow=stream.slow + hits,
        timed=stream.timed + timed,
    )


def tolerated_rate(allowed: float, before: float, tolerance: float) -> float:
    """Return the rate tolerated of a canary alone: the Objective's, or what stable itself had."""
    return min(max(allowed, tolerance * before), 0.99)
