"""A version's last counts are told for a while after it went, and never beside newer ones."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from andon.adapters.haproxy.departed import TOLD_SECONDS, Departed
from andon.adapters.haproxy.model import Backend, Front
from andon.api.v1.actions import Counts
from andon.api.v1.definitions import Health, RouteSpec
from andon.testing.clock import FakeClock

FRONT = Front(environment="prod", service="shop", port=1, route=RouteSpec(service="shop"))
LAST = Counts(requests=71, errors=5)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def departed(clock: FakeClock) -> Departed:
    departed = Departed(clock)
    departed.note(FRONT, "v3", "one", LAST)
    return departed


def test_last_counts_are_told_for_a_while(departed: Departed, clock: FakeClock):
    clock.advance(TOLD_SECONDS)
    assert departed.of(FRONT, "one") == {"v3": LAST}
    clock.advance(1)
    assert departed.of(FRONT, "one") == {}


def test_counts_of_another_count_are_not_told(departed: Departed):
    assert departed.of(FRONT, "two") == {}


def test_version_that_is_back_counts_anew(departed: Departed):
    back = replace(FRONT, backends={"v3": Backend(endpoints=("127.0.0.1:1",), health=Health())})
    assert departed.of(back, "one") == {}
    assert departed.of(FRONT, "one") == {}


def test_services_are_told_apart(departed: Departed):
    assert departed.of(replace(FRONT, service="cart"), "one") == {}
