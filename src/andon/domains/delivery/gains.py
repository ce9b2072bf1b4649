"""Business metrics: whether the canary gains too little per occasion."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.definitions import BusinessMetric
from andon.api.v1.samples import MetricCounts, Sample
from andon.calc.betting import Betting, bet_below, difference_value, null_mean

METRIC_OCCASIONS, METRIC_SPREAD = 30.0, 10.0
"""A metric is compared each time the canary had so many occasions, or so many per the largest gain."""


class Gain(Struct, frozen=True, array_like=True):
    """How much both versions gained, and the bet that the canary does not gain too little.

    Args:
        name: What the metric is called.
        most: Largest gain per occasion.
        tolerated: Share of stable's gain that may be lost.
        alpha: What the bet aims at.
        betting: The bet.
        pending: What came since the last comparison.
        seen: All that came.
    """

    name: str
    most: float
    tolerated: float
    alpha: float
    betting: Betting
    pending: MetricCounts = MetricCounts(0.0, 0.0, 0.0, 0.0)
    seen: MetricCounts = MetricCounts(0.0, 0.0, 0.0, 0.0)


def begin_gain(metric: BusinessMetric, alpha: float) -> Gain:
    """Begin with nothing known.

    >>> begin_gain(BusinessMetric(name="orders", gained="o", of="v"), 0.01).betting.log
    0.0
    """
    return Gain(
        name=metric.name,
        most=metric.most,
        tolerated=metric.tolerated_loss,
        alpha=alpha,
        betting=Betting(null_mean(metric.tolerated_loss)),
    )


def bet_on_gain(gain: Gain, sample: Sample) -> Gain:
    """Compare what both gained per occasion, once there were enough of these."""
    new = sample.metrics.get(gain.name)
    if new is None:
        return gain
    gain = replace(gain, pending=_added(gain.pending, new), seen=_added(gain.seen, new))
    pending = gain.pending
    enough = max(METRIC_OCCASIONS, METRIC_SPREAD / gain.most)
    if pending.canary_occasions < enough or pending.stable_occasions < enough:
        return gain
    value = difference_value(
        pending.canary_gained / pending.canary_occasions,
        pending.stable_gained / pending.stable_occasions,
        gain.tolerated,
        gain.most,
    )
    return replace(
        gain,
        pending=MetricCounts(0.0, 0.0, 0.0, 0.0),
        betting=bet_below(gain.betting, value, gain.alpha),
    )


def _added(counts: MetricCounts, new: MetricCounts) -> MetricCounts:
    return MetricCounts(
        counts.canary_gained + new.canary_gained,
        counts.canary_occasions + new.canary_occasions,
        counts.stable_gained + new.stable_gained,
        counts.stable_occasions + new.stable_occasions,
    )
