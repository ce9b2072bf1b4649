"""What pages tell, over real HTTP: only those that may, only so much, and nothing of the visitor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests
from otlp_world import Seen

from andon.api.v1.telemetry import BeaconSpec
from andon.app.telemetry.beacon import EACH, Beacon
from andon.ports.telemetry import LogQuestion, Matcher
from andon.testing.clock import FakeClock
from andon.testing.serving import served

SHOP = "https://shop.example"
VISIT = {
    "page": "/orders/4711?token=geheim",
    "ttfb_seconds": 0.3,
    "lcp_seconds": 2.0,
    "cls": 0.02,
    "errors": [
        {
            "message": "no https://shop.example/pay?card=4111 there",
            "source": "https://shop.example/app.js?v=7",
            "line": 12,
        }
    ],
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_780_000_000)


@pytest.fixture
def seen(tmp_path: Path, clock: FakeClock) -> Any:
    seen = Seen(tmp_path, clock)
    yield seen
    seen.close()


@pytest.fixture
def beacon(seen: Seen, clock: FakeClock) -> Beacon:
    spec = BeaconSpec(origins=(SHOP,), sample_ratio=0.25)
    return Beacon(spec, seen.metrics, seen.logs, 1e9, clock)


@pytest.fixture
async def url(seen: Seen, beacon: Beacon, tmp_path: Path) -> AsyncIterator[str]:
    async with served(seen.offices(beacon=beacon), tmp_path) as address:
        yield address


async def tell(url: str, body: Any = None, **headers: str) -> requests.Response:
    given = {"Origin": SHOP, "Content-Type": "text/plain"} | headers
    data = body if isinstance(body, bytes) else json.dumps(body or VISIT).encode()
    return await asyncio.to_thread(
        requests.post, f"{url}/beacon", data=data, headers=given, timeout=90
    )


def values(seen: Seen, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    found = seen.metrics.select([Matcher("__name__", "=", name)], 0, 2**52)
    return {
        tuple(pair for pair in one.labels if pair[0] != "__name__"): float(one.values[-1])
        for one in found
    }


async def test_a_visit_becomes_counts_and_its_errors_lines(
    url: str, seen: Seen, beacon: Beacon
) -> None:
    said = await tell(url)
    assert said.status_code == 204
    assert said.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Set-Cookie" not in said.headers
    await asyncio.to_thread(beacon.tell)
    page = (("page", "/orders/:id"), ("site", "shop.example"))
    assert values(seen, "andon_page_views_total") == {page: 1}
    assert values(seen, "andon_page_errors_total") == {page: 1}
    buckets = values(seen, "andon_web_lcp_seconds_bucket")
    assert buckets[("le", "1.5"), ("site", "shop.example")] == 0
    assert buckets[("le", "2.5"), ("site", "shop.example")] == 1
    assert values(seen, "andon_web_inp_seconds_count") == {}
    (line,) = seen.logs.search(LogQuestion(start_ns=0, end_ns=2**62)).lines
    assert line.text == "no https://shop.example/pay there (/app.js:12)"
    assert (line.severity, line.attributes) == ("error", {"page": "/orders/:id"})


async def test_nothing_of_the_visitor_is_kept(url: str, beacon: Beacon, tmp_path: Path) -> None:
    await tell(url, Cookie="who=ann-cookie", User_Agent="ann-browser")
    await asyncio.to_thread(beacon.tell)
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*"))
    for word in (b"geheim", b"4111", b"127.0.0.1", b"ann-cookie", b"ann-browser"):
        assert word not in kept


async def test_pages_of_others_may_not_tell(url: str) -> None:
    for origin in ("https://evil.example", "null", "", f"{SHOP}.evil.example"):
        said = await tell(url, Origin=origin)
        assert said.status_code == 403
        assert "Access-Control-Allow-Origin" not in said.headers
        asked = await asyncio.to_thread(
            requests.options, f"{url}/beacon", headers={"Origin": origin}, timeout=90
        )
        assert asked.status_code == 403


async def test_who_asks_not_to_be_counted_is_not(url: str, seen: Seen, beacon: Beacon) -> None:
    for header in ("Sec-GPC", "DNT"):
        assert (await tell(url, **{header: "1"})).status_code == 204
    await asyncio.to_thread(beacon.tell)
    assert values(seen, "andon_page_views_total") == {}


async def test_what_is_none_is_refused(url: str) -> None:
    for body in (b"{", b"[]", b'{"page": 7}', b'{"page":"/","cls":-1}', b"\xff", bytes(9000)):
        assert (await tell(url, body)).status_code == 400


async def test_too_many_from_one_place_are_refused_for_a_while(url: str, clock: FakeClock) -> None:
    said = [(await tell(url)).status_code for _ in range(int(EACH) + 1)]
    assert said == [204] * int(EACH) + [429]
    clock.advance(2)
    assert (await tell(url)).status_code == 204


async def test_the_script_is_small_and_says_its_share(url: str) -> None:
    said = await asyncio.to_thread(requests.get, f"{url}/beacon.js", timeout=90)
    assert len(said.content) < 3000
    assert b"Math.random() >= 0.25" in said.content
    assert said.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert b"cookie" not in said.content.split(b"\n", 1)[1]


async def test_without_a_site_that_may_tell_there_is_nothing(seen: Seen, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    async with served(seen.offices(), folder) as url:
        assert (await tell(url)).status_code == 404
        said = await asyncio.to_thread(requests.get, f"{url}/beacon.js", timeout=90)
        assert said.status_code == 404
