"""The page of all logs in a real browser, over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from chromium import CHROMIUM

from andon.api.v1.telemetry import LogsSpec
from andon.app.telemetry.logs import Logs
from andon.ports.offices import Offices
from andon.ports.telemetry import LogLine, LogQuestion
from andon.runtime.system import SystemClock
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.serving import served

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
SIZES = {1280: 1100, 390: 1700}
HOSTILE = '<img src="x" onerror="document.title=1">'
TRACE = "0af7651916cd43dd8448eb211c80319c"
SHOP = {"source": "service", "environment": "prod", "service": "shop", "version": "1a2b"}
JOB = {"source": "job", "run": "build-7", "job": "unit", "repository": "shop"}


def story(now: float) -> list[LogLine]:
    found = []
    for number in range(240):
        at = int((now - 14 * number) * 1e9)
        said = f'10.0.0.{number % 9} - "GET /items/{number}?page={number % 5} HTTP/1.1" 200'
        found.append(LogLine(at_ns=at, text=said, labels=SHOP, severity="info"))
        if number % 11 == 3:
            text = f"order {number} of customer {number * 7} was not paid: card declined"
            found.append(LogLine(at_ns=at, text=text, labels=SHOP, severity="error", trace=TRACE))
        if number % 7 == 2:
            text = f"pool of connections is {60 + number % 40} % full"
            found.append(LogLine(at_ns=at, text=text, labels=SHOP, severity="warn"))
        if number % 17 == 5:
            found.append(LogLine(at_ns=at, text=f"test_basket_{number} PASSED", labels=JOB))
    hostile = f"{HOSTILE} {'x' * 300}\n  second line of it"
    return [*found, LogLine(at_ns=int(now * 1e9) - 10**9, text=hostile, labels=SHOP)]


async def just_now(question: LogQuestion) -> AsyncIterator[list[LogLine]]:
    yield [LogLine(at_ns=7, text="just now: no card", labels=SHOP, severity=question.severity)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path) -> AsyncIterator[str]:
    clock: Any = SystemClock()
    nobody: Any = None
    logs = Logs(folder, folder, LogsSpec(), nobody, nobody, clock)
    logs.lines.append(story(clock.now()))
    # Time stands still in the browser as long as an answer goes on.
    logs.tail = just_now
    offices = Offices(
        line=StillLine(endless=False), access=FixedDoor({"guest": ADMINISTRATOR}), logs=logs
    )
    async with served(offices, folder) as address:
        yield address
    logs.close()


async def test_lines_are_found_newest_first_as_text(look: Callable) -> None:
    dom = await look("#/logs")
    assert dom.count('class="whose"') == 100
    assert "100 lines, newest first; there are more." in dom
    assert "<img src=" not in dom.partition('id="inside"')[2]
    assert "document.title=1" in dom
    assert dom.count("<i data-tone=") == 180
    assert "pool of connections is &lt;*&gt; % full" in dom


async def test_conditions_of_the_address_are_kept(look: Callable) -> None:
    dom = await look("#/logs?severity=error&text=CARD&service=shop")
    assert dom.count('class="whose"') == 22
    assert f'href="#/traces/{TRACE}"' in dom
    assert 'value="error"' in dom
    dom = await look("#/logs?text=passed&environment=")
    assert 'href="#/runs/build-7"' in dom
    assert "Nothing found." not in dom


@pytest.mark.parametrize("width", SIZES)
async def test_the_page_fits(draw: Callable, width: int) -> None:
    size = (width, SIZES[width])
    assert await draw("#/logs", "logs", *size) == size


async def test_lines_that_come_are_shown_live_above_the_others(look: Callable) -> None:
    dom = (await look("#/logs?live=1&severity=error")).partition('id="logs-lines"')[2]
    assert dom.index("just now: no card") < dom.index("was not paid: card declined")
