"""Requests slower than thresholds that were frozen before the canary took traffic."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.definitions import TOLERATED_SLOWDOWN
from andon.api.v1.latency import GROWTH, bucket_of, upper_bound
from andon.api.v1.objectives import ObjectiveSpec
from andon.api.v1.samples import ArmCounts, Sample
from andon.calc.dispersion import Dispersion, dispersion, learn, share_of
from andon.calc.histogram import exceeding, quantile_bucket
from andon.calc.sequential import EVEN, NEVER, Stakes, bet, first_logs, risk_share
from andon.domains.delivery.editions import Edition

QUANTILES = (0.5, 0.9, 0.99, 0.995, 0.998)
"""Close together at the tail: with the margin below, a second more on 2 % of the requests shows there."""

SLOWER_SECONDS = 0.02
"""At the default a canary is called slower only beyond a third more *and* 20 ms more than the threshold."""

LATENCY_NATS_PER_SECOND = 0.2
"""Slow requests come in spells: one spell of a single replica must never decide.

Who tolerates no slowdown at all has neither this nor a margin.
"""


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


def begin_stream(
    bucket: int,
    objective: ObjectiveSpec | None,
    slowdown: float = TOLERATED_SLOWDOWN,
    stakes: Stakes = EVEN,
) -> Stream:
    """Begin one threshold.

    Args:
        bucket: Where it lies for stable.
        objective: Its latency limit may be this threshold.
        slowdown: So much longer may requests take, as a share.
        stakes: Of the rules' edition.
    """
    limit = objective.latency if objective else None
    is_limit = limit is not None and bucket == bucket_of(limit.threshold_seconds)
    return Stream(
        bucket=bucket,
        allowed=_allowed(bucket, slowdown),
        allowed_share=1 - limit.target if limit and is_limit else None,
        logs=first_logs(stakes=stakes),
    )


def _allowed(bucket: int, slowdown: float) -> int:
    """Return the bucket beyond which the canary is called slower."""
    seconds = SLOWER_SECONDS * (slowdown / TOLERATED_SLOWDOWN)
    buckets = math.ceil(math.log1p(slowdown) / math.log(GROWTH) - 1e-9)
    return max(bucket + buckets, bucket_of(upper_bound(bucket) + seconds))


def bet_on_latency(
    stream: Stream, tolerance: float, edition: Edition, sample: Sample, stable: ArmCounts
) -> Stream:
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
    forgiving = stream.allowed > stream.bucket
    return replace(
        stream,
        logs=bet(
            stream.logs,
            hits,
            trials,
            share,
            temper=dispersion(stream.noise, edition.latency_dispersion if forgiving else 1.0),
            cap=LATENCY_NATS_PER_SECOND * sample.seconds if forgiving else NEVER,
        ),
        noise=learn(stream.noise, stable_hits, stable_timed),
        slow=stream.slow + hits,
        timed=stream.timed + timed,
    )


def tolerated_rate(allowed: float, before: float, tolerance: float) -> float:
    """Return the rate tolerated of a canary alone: the Objective's, or what stable itself had."""
    return min(max(allowed, tolerance * before), 0.99)
