from __future__ import annotations

import numpy as np
import pytest

from andon.calc.histogram import exceeding, quantile_bucket


@pytest.mark.parametrize("quantile", [0.0, 0.25, 0.5, 0.9, 0.99, 1.0])
def test_quantile_agrees_with_the_inverse_distribution_function(quantile) -> None:
    buckets = np.random.default_rng(5).integers(3, 40, 1000)
    histogram = {int(b): int((buckets == b).sum()) for b in np.unique(buckets)}
    expected = np.quantile(buckets, quantile, method="inverted_cdf")
    assert quantile_bucket(histogram, quantile) == expected


def test_exceeding_counts_only_what_is_slower() -> None:
    assert exceeding({4: 3, 5: 2, 9: 1}, 4) == 3
    assert exceeding({}, 4) == 0
