"""Tries of an address: ten at once, ten a minute, and no memory without end."""

from __future__ import annotations

import pytest

from andon.app.access import tries
from andon.app.access.tries import Tries
from andon.kernel.errors import Unavailable


def spend(bucket: Tries, address: str, now: float = 0.0) -> int:
    """Take all that there are; how many."""
    taken = 0
    while True:
        try:
            bucket.take(address, now)
        except Unavailable:
            return taken
        taken += 1


def test_bucket_fills_again_at_ten_a_minute_and_never_over():
    bucket = Tries()
    assert spend(bucket, "a") == 10
    assert spend(bucket, "a", 5.9) == 0
    assert spend(bucket, "a", 30) == 5
    assert spend(bucket, "a", 1000) == 10
    assert spend(bucket, "b") == 10


def test_clock_that_goes_back_gives_nothing():
    bucket = Tries()
    assert spend(bucket, "a", 100) == 10
    assert spend(bucket, "a", 0) == 0
    assert spend(bucket, "a", 100) <= 10


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.1", "::ffff:192.0.2.1")],
)
def test_addresses_of_the_same_guesser_share_their_tries(one: str, other: str):
    bucket = Tries()
    assert spend(bucket, one) == 10
    assert spend(bucket, other) == 0
    assert spend(bucket, "2001:db8:1::1") == 10


def test_number_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tries, "MOST_ADDRESSES", 3)
    bucket = Tries()
    for number in range(100):
        bucket.take(f"10.0.0.{number}", 0)
    assert len(bucket._buckets) == 3
