"""The pages of a Run, a log and a repository in a real browser, over a real store and real logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from chromium import CHROMIUM

from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import StepRow
from andon.app.builds.desk import Builds
from andon.ports.offices import Offices
from andon.store import open_store
from andon.testing.built import (
    BEGAN,
    HOSTILE,
    LogFolder,
    every_state,
    put_build,
    put_change,
)
from andon.testing.clock import FakeClock
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.serving import served

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
RUN = "#/runs/build-shop-1"
PAGES = {"run": RUN, "log": f"{RUN}/log/build", "repository": "#/repositories/shop"}
"""A log that failed is shown from its end, and a browser draws no picture of that."""
SIZES = {1280: 1000, 390: 1700}


def log() -> bytes:
    begin = "\x1b[0Ksection_start:{0}:step_{0}\r\x1b[0K{1}\n"
    end = "\x1b[0Ksection_end:{0}:step_{0}\r\x1b[0K\n"
    lines = [
        begin.format(1, "install <i>packages</i>"),
        *(f"Collecting package number {number}\n" for number in range(3000)),
        end.format(1),
        begin.format(2, "pytest"),
        *(f"tests/test_{n}.py \x1b[32m.....\x1b[0m [{n} %]\n" for n in range(60)),
        f"\x1b[1;31mFAILED\x1b[0m test_total_has_vat {HOSTILE}\n",
        "\x1b[33;44mwarning\x1b[0m \x1b[7minverse\x1b[0m \x1b[4munder\x1b[0m \x1b[2mfaint\x1b[0m\n",
        "x" * 9000 + "\n",
        end.format(2),
        "exit code 1\n",
    ]
    return "".join(lines).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path) -> AsyncIterator[str]:
    store = open_store(str(folder / "a.db"), source="/test")
    for number in (1, 2, 3):
        await put_change(store, number, message=f"Show <b>totals</b> with VAT ({number})")
    await put_build(store, 1, every_state(BEGAN + 60), phase="Failed", seconds=84)
    await put_build(store, 2, seconds=400)
    row = StepRow(name="unit", position=0, state="running", started_at=BEGAN + 190)
    await put_build(store, 3, [(JobPlan(name="unit"), row, None)], phase="Running")
    await put_change(store, 4, ref="topic", proposed=True)
    await put_build(store, 4, phase="Failed")
    logs = LogFolder(folder / "logs")
    logs.write("build-shop-1/test-311-0.log", log())
    logs.write("build-shop-1/build-0.log", log())
    logs.write("build-shop-3/unit-0.log", b"it goes on\nand o")
    offices = Offices(
        line=StillLine(endless=False),
        access=FixedDoor({"guest": ADMINISTRATOR}),
        builds=Builds(store, logs.read, FakeClock(BEGAN + 600)),
    )
    async with served(offices, folder) as address:
        yield address
    store.close()


async def test_a_run_tells_every_state_by_a_mark_and_a_word(look: Callable) -> None:
    dom = await look(RUN)
    for mark, word in {
        "✓": "passed",
        "✗": "failed",
        "↷": "skipped by rule",
        "○": "not run",
        "↯": "interrupted",
        "◐": "quarantined",
        "⊘": "cancelled",
    }.items():
        assert f'<i aria-hidden="true">{mark}</i>{word}</span>' in dom
    assert "paths: docs/** not touched" in dom
    assert "◆ critical path" in dom
    assert "If build took no time: up to 27.0s less" in dom
    assert "waited 2.0 s for a place" in dom
    assert "tests.cart::test_total_has_vat" in dom
    assert "93.4 % of 1,000 lines covered" in dom
    assert "cache pip: hit" in dom
    assert "reused from build-shop-0/lint" in dom
    assert "flaky, failed before: 1 of 216 tests failed" in dom
    assert "in quarantine: pact::orders" in dom
    assert "Show &lt;b&gt;totals&lt;/b&gt; with VAT (1)" in dom
    assert "<b>totals" not in dom
    assert "<b>bold?" not in dom


async def test_a_log_is_text_in_colours_and_never_markup(look: Callable) -> None:
    dom = await look(f"{RUN}/log/test-311")
    assert '<span class="t-bold t-red">FAILED</span>' in dom
    assert '<span class="t-yellow t-on-blue">warning</span>' in dom
    assert '&lt;img src="x" onerror="document.title=1"&gt;&lt;b&gt;bold?&lt;/b&gt; &amp;amp;' in dom
    assert "<b>bold?" not in dom
    assert "<i>packages" not in dom
    assert "install &lt;i&gt;packages&lt;/i&gt;" in dom
    assert "808 bytes more" in dom
    assert "3,068 lines" in dom
    assert "exit code 1" in dom
    assert "3001 lines" in dom
    assert "Collecting package number 7<" not in dom, "what is folded is not fetched"


async def test_a_link_leads_to_a_line_and_to_what_is_looked_for(look: Callable) -> None:
    dom = await look(f"{RUN}/log/test-311?line=8&text=NUMBER%202999")
    assert '<li data-line="7" class="hit">' in dom, "what was folded is open"
    assert "Collecting package number 6<" in dom
    assert "1 line found" in dom
    assert "<b>3001</b> Collecting package number 2999" in dom


async def test_what_still_runs_says_so(look: Callable) -> None:
    dom = await look("#/runs/build-shop-3")
    assert "No verdict yet after 7 min; 5 min are agreed." in dom
    assert '<i aria-hidden="true">▶</i>running</span>' in dom
    dom = await look("#/runs/build-shop-3/log/unit")
    assert "and o</span>" in dom
    assert dom.count('data-line="1"') == 1, "a line that goes on is there once"
    assert "More will follow." in dom


async def test_a_repository_shows_its_badge_and_what_there_is_not_is_said(look: Callable) -> None:
    dom = await look("#/repositories/shop")
    assert "Coffee budget burning: 2 of 4 verdicts came later than 5 min; 5 of 100 may" in dom
    assert 'src="/badge/shop.svg"' in dom
    assert 'alt="build: passing"' in dom
    assert "This step has no log." in await look(f"{RUN}/log/nothing")


@pytest.mark.parametrize("width", SIZES)
async def test_the_pages_are_drawn_at_any_width(draw: Callable, width: int) -> None:
    size = (width, SIZES[width])
    for name, where in PAGES.items():
        assert await draw(where, name, *size) == size
