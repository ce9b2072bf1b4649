"""The pages of traces and services in a real browser, over real stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from chromium import CHROMIUM

from andon.adapters.telemetry.traces import SpanStore
from andon.api.v1.spans import Edge, Span, SpanEvent
from andon.app.telemetry.traces import Traces
from andon.ports.offices import Offices
from andon.ports.telemetry import Settled
from andon.runtime.system import SystemClock
from andon.store import open_store
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.serving import served
from andon.testing.trace_suite import make_span, trace_id

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
PAGES = {"trace": f"#/traces/{trace_id(1)}", "services": "#/services"}
SIZES = {1280: 900, 390: 1500}
HOSTILE = '<img src="x" onerror="document.title=1">'


def story(now: float) -> list[Span]:
    began = now - 60 - 1_780_000_000

    def one(number: int, at: float, seconds: float, **more: object) -> Span:
        return make_span(1, number, at=began + at, seconds=seconds, **more)

    parent = make_span(1, 0).id
    cart = make_span(1, 2).id
    return [
        one(0, 0, 0.42, name="POST /checkout", attributes={"http.route": "/checkout"}),
        one(1, 0.01, 0.03, name="render", parent=parent),
        one(2, 0.05, 0.34, name="cart.Total", service="cart", kind="server", parent=parent),
        one(3, 0.06, 0.12, name="SELECT items", service="cart", kind="client", parent=cart),
        one(
            4,
            0.2,
            0.18,
            name=f"charge {HOSTILE}",
            service="payments",
            kind="server",
            status="error",
            parent=cart,
            attributes={"status.message": "card declined", "card.network": "visa" * 40},
            events=(SpanEvent(int((now - 60) * 1e9), "exception", {"type": "Declined"}),),
            links=((trace_id(7), "0" * 15 + "1"),),
        ),
        one(5, 0.4, 0.01, name="audit", service="audit", parent="f" * 16),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path) -> AsyncIterator[str]:
    now = SystemClock().now()
    line = open_store(str(folder / "a.db"), source="/test")
    store = SpanStore(folder / "traces.db")
    store.append(story(now))
    for number in range(2, 9):
        at = now - 60 * number - 1_780_000_000
        store.append([make_span(number, 0, at=at, seconds=0.03 * number)])
    calls = [
        ("", "shop", 4210, 3),
        ("shop", "cart", 3900, 120),
        ("shop", "catalogue", 8000, 0),
        ("cart", "postgresql", 11800, 0),
        ("cart", "payments", 640, 118),
        ("catalogue", "redis", 20000, 2),
        ("payments", "shop", 12, 0),
    ]
    edges = tuple(
        Edge(caller=caller, callee=callee, calls=n, failed=failed, seconds=n * 0.013)
        for caller, callee, n, failed in calls
    )
    store.settle(Settled(ripe=store.ripe(0), at_ns=int((now - 60) * 1e9), edges=edges))
    offices = Offices(
        line=StillLine(endless=False),
        access=FixedDoor({"guest": ADMINISTRATOR}),
        traces=Traces(store, line, SystemClock()),
    )
    async with served(offices, folder) as address:
        yield address
    store.close()
    line.close()


async def test_the_list_shows_what_is_kept_newest_first_and_what_failed(look: Callable) -> None:
    dom = await look("#/traces")
    assert dom.count('class="took"') == 8
    assert dom.index("POST /checkout") < dom.index("GET /")
    assert f'href="#/traces/{trace_id(1)}"' in dom
    dom = await look("#/traces?failed=1")
    assert dom.count('class="took"') == 1


async def test_a_waterfall_stands_where_its_spans_were_and_is_text(look: Callable) -> None:
    dom = await look(PAGES["trace"])
    assert "420 ms in all, 6 spans of 4 services" in dom
    assert "left: 47.619%" in dom.replace("47.6190", "47.619"), "0.2 of 0.42 s"
    assert "card declined" in dom
    assert "✗ failed" in dom
    assert "of which nobody told" in dom
    assert "<img src=" not in dom
    assert "charge &lt;img" in dom


async def test_the_map_draws_every_service_and_call_and_says_it_in_a_table(look: Callable) -> None:
    dom = await look("#/services")
    assert dom.count("<rect") == 7
    assert dom.count('class="call"') + dom.count('class="call bad"') == 7
    assert dom.count('class="call bad"') == 2
    assert "<td>cart</td><td>payments</td><td>640</td>" in dom


@pytest.mark.parametrize(("name", "width"), [("trace", 390), ("services", 390), ("services", 1280)])
async def test_the_pages_are_drawn_at_any_width(draw: Callable, name: str, width: int) -> None:
    size = (width, SIZES[width])
    assert await draw(PAGES[name], name, *size) == size
