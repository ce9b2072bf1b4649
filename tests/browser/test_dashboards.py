"""The dashboards in a real browser, over a real store of samples."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from chromium import CHROMIUM

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.app.telemetry.queries import Metrics
from andon.ports.offices import Offices
from andon.ports.telemetry import Exemplar, Labels
from andon.runtime.system import SystemClock
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.serving import served

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
SIZES = {1280: 900, 390: 1800}
HOSTILE = '<img src="x" onerror="document.title=1">'
LIVED_SECONDS = 3000
GAP = range(1200, 1800)


def labels(name: str, service: str, **more: str) -> Labels:
    own = {"__name__": name, "environment": "prod", "service": service, "version": "1", **more}
    return tuple(sorted(own.items()))


def live(store: MetricChunks, now: float) -> None:
    """Have two services be seen for most of an hour, with a gap; one fails now and then.

    They go on for as long as a browser may take to show them.
    """
    for at in range(0, LIVED_SECONDS + 300, 15):
        if at in GAP:
            continue
        rows = []
        for service, rate, bad in (("shop", 20.0, 0.02), (HOSTILE, 3.0, 0.0)):
            total = rate * at
            bucket = "andon_gateway_request_duration_seconds_bucket"
            requests = "andon_gateway_requests_total"
            rows += [
                (labels(requests, service, **{"class": "2xx"}), total * (1 - bad)),
                (labels(requests, service, **{"class": "5xx"}), total * bad),
                (labels(bucket, service, le="0.1"), total * 0.9),
                (labels(bucket, service, le="0.5"), total),
                (labels(bucket, service, le="+Inf"), total),
                (labels("process_cpu_seconds_total", service, replica="0"), 0.3 * at),
            ]
        store.append(round(1000 * (now - LIVED_SECONDS + at)), rows)
    told = exemplars(now)
    store.append(round(1000 * now), [(one, 1.0) for one, _ in told])
    store.add_exemplars(told)


def exemplars(now: float) -> list[tuple[Labels, Exemplar]]:
    """Have some requests lead to a trace: of a service that tells spans, and of one that does not."""
    bucket = "andon_span_duration_seconds_bucket"
    own = labels(bucket, "shop", operation="GET /cart", le="0.1")
    beyond = labels(bucket, "gateway", operation=HOSTILE, le="+Inf")
    found = [
        (
            own,
            Exemplar(round(1000 * (now - 60 * back)), 0.02 * back, (("trace_id", f"{back:032x}"),)),
        )
        for back in range(5, 30, 5)
    ]
    return [*found, (beyond, Exemplar(round(1000 * (now - 300)), 9.0, (("trace_id", "beyond"),)))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path) -> AsyncIterator[str]:
    clock = SystemClock()
    (folder / "metrics").mkdir()
    store = MetricChunks(folder / "metrics", 1000, round(1000 * clock.now()))
    await asyncio.to_thread(live, store, clock.now())
    offices = Offices(
        line=StillLine(endless=False),
        access=FixedDoor({"guest": ADMINISTRATOR}),
        metrics=Metrics(store, clock),
    )
    async with served(offices, folder) as address:
        yield address
    store.close()


async def test_every_service_is_drawn_without_configuration_and_gaps_are_hatched(look: Callable):
    dom = await look("#/dashboards")
    assert dom.count('class="dashboard"') == 2
    assert "<b>20/s</b>" in dom
    assert "<b>2 %</b>" in dom
    assert "p99 " in dom
    assert "<b>0.3 cores</b>" in dom
    assert dom.count('class="unseen"') >= 8
    assert "&lt;img" in dom
    assert "<img" not in dom


async def test_dots_of_single_requests_lead_to_their_traces(look: Callable):
    dom = await look("#/dashboards")
    assert dom.count('class="exemplar"') == 6
    assert f'<a href="#/traces/{25:032x}" class="exemplar" tabindex="0"' in dom
    assert f'<a href="#/traces/{5:032x}" class="exemplar" tabindex="-1"' in dom
    assert '<a href="#/traces/beyond" class="exemplar" tabindex="0"' in dom
    assert "500 ms at " in dom


@pytest.mark.parametrize("width", SIZES)
async def test_page_fits_a_screen(draw: Callable, width: int):
    size = (width, SIZES[width])
    assert await draw("#/dashboards", "dashboards", *size) == size
