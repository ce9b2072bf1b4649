from __future__ import annotations

import numpy as np
import pytest

from andon.calc.dispersion import Dispersion, dispersion, learn, share_of


def learnt(counts, trials: int = 1000) -> Dispersion:
    known = Dispersion()
    for hits in counts:
        known = learn(known, float(hits), trials)
    return known


def test_independent_events_have_dispersion_near_one() -> None:
    counts = np.random.default_rng(1).poisson(5, 400)
    assert dispersion(learnt(counts)) == pytest.approx(1.0, abs=0.25)


def test_clusters_have_the_dispersion_of_their_size() -> None:
    counts = 8 * np.random.default_rng(2).poisson(2, 400)
    assert dispersion(learnt(counts)) == pytest.approx(8.0, rel=0.25)


def test_dispersion_is_never_below_its_floor() -> None:
    assert dispersion(learnt([3] * 50), 2.0) == 2.0


def test_intervals_without_requests_teach_nothing() -> None:
    known = learnt([1, 2])
    assert learn(known, 0, 0) == known


def test_share_is_events_per_request() -> None:
    assert share_of(learnt([10, 30])) == pytest.approx(0.02)
