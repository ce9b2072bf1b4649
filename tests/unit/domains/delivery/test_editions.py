"""A rollout is decided again by the edition of the rules that it was decided by, whatever came since."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest

from andon.api.v1.definitions import JudgePolicy
from andon.api.v1.samples import ArmCounts, Sample
from andon.domains.delivery.editions import EDITIONS, VERSION
from andon.domains.delivery.judge import replay

FROZEN = (40, 52, 60)


def seen() -> list[Sample]:
    """Draw an hour in which errors and slow requests come and go."""
    chance = np.random.default_rng(4)

    def arm(requests: int, errors: float, slow: float) -> ArmCounts:
        failed, late = (int(chance.binomial(requests, share)) for share in (errors, slow))
        half = requests // 2, failed // 2, failed // 2
        latency = {38: requests - late, 64: late}
        return ArmCounts(
            requests=requests,
            errors=failed,
            client_errors=failed,
            clients=8 if errors > 0.03 else 800,
            latency=latency,
            half=half,
        )

    return [
        Sample(
            at=10.0 * at,
            seconds=10,
            weight=10,
            canary=arm(100, 0.012 + 0.03 * (at % 60 > 50), 0.011),
            stable=arm(900, 0.01 + 0.025 * (at % 60 > 50), 0.01),
        )
        for at in range(360)
    ]


@pytest.mark.parametrize(
    ("edition", "tolerance", "digest"),
    [
        (1, 1.0, "5a71d4554e63ddc0"),
        (1, 1.25, "3d432ec0317d61f9"),
        (2, 1.0, "2cdaf871fe5fc6bf"),
        (2, 1.25, "3d432ec0317d61f9"),
        (3, 1.0, "fe44facc8fa8875d"),
        (3, 1.25, "957079f06fae66d6"),
    ],
)
def test_no_edition_ever_changes(edition, tolerance, digest) -> None:
    """Whoever must change a digest here has changed a rule in place: make a new edition."""
    said = replay(JudgePolicy(tolerance=tolerance), None, FROZEN, seen(), edition)
    assert hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16] == digest


def test_a_rollout_begins_with_the_present_edition() -> None:
    assert max(EDITIONS) == VERSION
