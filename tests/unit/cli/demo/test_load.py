from __future__ import annotations

import json
from itertools import islice
from random import Random

import pytest

from andon.cli.demo.load import MIX, Planned, plan_requests
from andon.cli.demo.wire import Wire
from andon.kernel.errors import UsageError


def planned(seed: int, number: int = 6000) -> list[Planned]:
    return list(islice(plan_requests(Random(seed), rate=300, clients=3000), number))


def test_same_seed_plans_the_same_requests() -> None:
    assert planned(1, 500) == planned(1, 500)
    assert planned(1, 500) != planned(2, 500)


def test_arrivals_have_the_asked_rate() -> None:
    requests = planned(1)
    assert sum(request.gap_seconds for request in requests) == pytest.approx(20, rel=0.1)


def test_many_clients_take_part() -> None:
    assert len({request.client for request in planned(1)}) > 2500


def test_paths_follow_the_mix() -> None:
    requests = planned(1)
    assert sum(weight for _, _, weight in MIX) == 100
    for method, path, percent in MIX:
        start, product, _ = path.partition("{product}")
        matching = [
            request
            for request in requests
            if request.method == method
            and (request.path == path or (product and request.path.removeprefix(start).isdecimal()))
        ]
        assert len(matching) / len(requests) == pytest.approx(percent / 100, abs=0.02)


def test_only_orders_have_a_body() -> None:
    for request in planned(1, 500):
        assert bool(request.body) == (request.method == "POST")
        if request.body:
            assert set(json.loads(request.body)) == {"product", "quantity"}


@pytest.mark.parametrize("url", ["127.0.0.1:80", "https://127.0.0.1", "http://", "ftp://a"])
def test_address_that_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Wire(url)
