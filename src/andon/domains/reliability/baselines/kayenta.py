"""How Kayenta's standard judge compares series of a canary and of a baseline.

Each metric is Pass, High, Low or Nodata by a rank test; the share of passes is the score. Where both
series are constant the original adds random noise; here it is a fixed, evenly spread one, so that the
same data always get the same answer.

Source: the behaviour documented, and observed, of ``NetflixACAJudge`` and its ``MannWhitneyClassifier``;
the fixtures of the tests are values that its users printed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean, quantiles
from typing import Literal

from msgspec import Struct

from andon.api.v1.samples import Sample
from andon.calc.ranks import shift_between
from andon.domains.reliability.baselines.window import Sums, Ticks
from andon.domains.reliability.looking import Verdict

Label = Literal["Pass", "High", "Low", "Nodata", "NodataFail"]
Direction = Literal["increase", "decrease", "either"]

CONFIDENCE = 0.98
TOLERANCE = 0.25
NOISE = 1e-5
NODATA_SHARE = 0.5


class Metric(Struct, frozen=True, kw_only=True):
    """How one metric is judged.

    Args:
        direction: Which way is bad.
        nan: What becomes of missing points.
        drop_outliers: Leave out what lies far from the quartiles.
        critical: High or Low fails the whole judgement.
        must_have_data: Nothing at all fails.
        allowed_increase: Ratio of means up to which High is forgiven.
        allowed_decrease: The same for Low.
    """

    direction: Direction = "increase"
    nan: Literal["remove", "replace"] = "remove"
    drop_outliers: bool = False
    critical: bool = False
    must_have_data: bool = False
    allowed_increase: float = 1.0
    allowed_decrease: float = 1.0


def classify(canary: Sequence[float], baseline: Sequence[float], metric: Metric) -> Label:
    """Label one metric.

    >>> classify([0, 1, 2, 1, 0, 0], [0] * 6, Metric())
    'Pass'
    >>> classify([9, 8, 9, 7, 9, 8], [1, 2, 1, 2, 1, 1], Metric())
    'High'
    """
    above, below = _clean(canary, metric), _clean(baseline, metric)
    if not above or not below:
        return _without_data(metric)
    if sorted(above) == sorted(below) or len({*above, *below}) == 1:
        return "Pass"
    if len(set(above)) == 1 and len(set(below)) == 1:
        above, below = _noisy(above), _noisy(below)
    return _compare(above, below, metric)


def _compare(above: Sequence[float], below: Sequence[float], metric: Metric) -> Label:
    shift = shift_between(above, below, CONFIDENCE)
    margin = TOLERANCE * abs(shift.estimate)
    effect = effect_size(above, below)
    if (
        metric.direction != "decrease"
        and shift.low > margin
        and not effect < metric.allowed_increase
    ):
        return "High"
    if (
        metric.direction != "increase"
        and shift.high < -margin
        and not effect > metric.allowed_decrease
    ):
        return "Low"
    return "Pass"


def effect_size(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the ratio of means, NaN where one is zero.

    >>> effect_size([2, 4], [1, 1]), effect_size([1], [0])
    (3.0, nan)
    """
    top, bottom = fmean(above), fmean(below)
    return top / bottom if top and bottom else math.nan


def _clean(points: Sequence[float], metric: Metric) -> list[float]:
    if metric.nan == "replace":
        kept = [0.0 if math.isnan(point) else float(point) for point in points]
    else:
        kept = [float(point) for point in points if not math.isnan(point)]
    return _without_outliers(kept) if metric.drop_outliers and len(kept) > 1 else kept


def _without_outliers(points: list[float]) -> list[float]:
    cuts = quantiles(points, n=100, method="inclusive")
    first, third = cuts[24], cuts[74]
    reach = 3 * (third - first)
    low, high = min(cuts[0], first - reach), max(cuts[98], third + reach)
    return [point for point in points if low <= point <= high]


def _without_data(metric: Metric) -> Label:
    if metric.nan == "replace":
        return "Pass"
    return "NodataFail" if metric.must_have_data and not metric.critical else "Nodata"


def _noisy(points: Sequence[float]) -> list[float]:
    normal = NormalDist()
    return [
        point * (1 + NOISE * normal.inv_cdf((index + 0.5) / len(points)))
        for index, point in enumerate(points)
    ]


def score(labels: Mapping[str, Label], metrics: Mapping[str, Metric]) -> float:
    """Return the score of one group of metrics, 0 to 100.

    >>> score({"a": "Pass", "b": "High", "c": "Pass"}, dict.fromkeys("abc", Metric()))
    66.67
    >>> score({"a": "Pass", "b": "High"}, {"a": Metric(), "b": Metric(critical=True)})
    0.0
    """
    bad = ("High", "Low")
    if any(label in bad and metrics[name].critical for name, label in labels.items()):
        return 0.0
    said = list(labels.values())
    if said and said.count("Nodata") >= NODATA_SHARE * len(said):
        return 0.0
    counted = [label for label in said if label != "Nodata"]
    return round(100 * counted.count("Pass") / len(counted), 2) if counted else 100.0


class Kayenta:
    """Error rate and, where it is known, 99th percentile, over a window that grows.

    Args:
        point_seconds: A point of the series.
        interval_seconds: Between judgements.
        marginal: Any score below rolls back.
        pass_score: The last one must reach it to promote.
    """

    def __init__(
        self,
        point_seconds: float = 60.0,
        interval_seconds: float = 300.0,
        marginal: float = 75.0,
        pass_score: float = 95.0,
    ) -> None:
        self._points, self._judgements = Ticks(point_seconds), Ticks(interval_seconds)
        self._marginal, self._pass = marginal, pass_score
        self._canary, self._stable = Sums(), Sums()
        self._series: dict[str, tuple[list[float], list[float]]] = {}
        self._said: Verdict = "Wait"

    def look(self, sample: Sample) -> Verdict:
        """Take the next interval."""
        self._canary.add(sample.canary)
        if sample.stable is not None:
            self._stable.add(sample.stable)
        if self._points.now(sample):
            self._close_point()
        if self._judgements.now(sample) and self._said != "RollBack":
            self._said = self._judge()
        return self._said

    def _close_point(self) -> None:
        values = {
            "errors": (self._canary.error_share, self._stable.error_share),
            "p99": (self._canary.quantile_seconds(0.99), self._stable.quantile_seconds(0.99)),
        }
        for name, (canary, stable) in values.items():
            above, below = self._series.setdefault(name, ([], []))
            above.append(math.nan if canary is None else canary)
            below.append(math.nan if stable is None else stable)
        self._canary, self._stable = Sums(), Sums()

    def _judge(self) -> Verdict:
        metric = Metric(critical=True)
        series = {
            name: pair
            for name, pair in self._series.items()
            if name == "errors" or not all(map(math.isnan, pair[0] + pair[1]))
        }
        labels = {name: classify(*pair, metric) for name, pair in series.items()}
        reached = score(labels, dict.fromkeys(labels, metric))
        if reached < self._marginal:
            return "RollBack"
        return "Advance" if reached >= self._pass else "Wait"
