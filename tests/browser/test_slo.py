"""The pages of promises in a real browser, over real counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from chromium import CHROMIUM

from andon.adapters.telemetry.tallies import Moment
from andon.api.v1.objectives import Indicator as Measured
from andon.api.v1.objectives import MetricsIndicator, ObjectiveSpec, Target
from andon.app.telemetry.objective_desk import ObjectiveDesk
from andon.ports.offices import Offices
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.promises import PromiseWorld
from andon.testing.serving import served

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
SIZES = {1280: 900, 390: 1500}
PAGES = {"slo": "#/slo", "objective": "#/slo/shop-availability?days=1"}
HOSTILE = '<img src="x" onerror="document.title=1">'


def lived(folder: Path) -> PromiseWorld:
    """Return a world in which one promise is kept, one is missed, and one cannot be known."""
    import time

    world = PromiseWorld(folder, clock_start=time.time() - 6 * 3600 - 900)
    strange = MetricsIndicator(bad="a", total="b", source="Datadog")
    target = Target(target=0.99, name=HOSTILE)
    world.promise(
        "elsewhere",
        ObjectiveSpec(service="shop", indicator=Measured(metrics=strange), targets=(target,)),
    )
    world.live(2 * 3600, each=30)
    world.live(900, scraped=False)
    for failed, slow in ((0.05, 0), (0, 6), (1.5, 8), (0.1, 0)):
        world.live(3600, each=30, failed=failed, slow=slow)
    id = "shop-latency/prod/latency"
    now_ms = round(world.clock.now() * 1000)
    world.tallies.remember(
        (id, Moment(now_ms - n * 3_600_000, "met", 1 - n / 40, 0.5)) for n in range(1, 20)
    )
    return world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path) -> AsyncIterator[str]:
    world = await asyncio.to_thread(lived, folder)
    desk = ObjectiveDesk(world.objectives, world.tallies, world.clock)
    offices = Offices(
        line=StillLine(endless=False), access=FixedDoor({"guest": ADMINISTRATOR}), objectives=desk
    )
    async with served(offices, folder) as address:
        yield address
    await asyncio.to_thread(world.close)


async def test_states_are_words_and_budgets_are_bars(look: Callable) -> None:
    dom = await look("#/slo")
    assert dom.count('<li data-state="missed">') == 1
    assert dom.count('<li data-state="met">') == 1
    assert "</i>missed" in dom
    assert "</i>unknown" in dom
    assert dom.count('role="meter" aria-label="Budget left"') == 3
    assert "metrics of Datadog cannot be asked for here" in dom.lower().replace(
        "datadog", "Datadog"
    )
    assert "<img src=" not in dom.partition('id="inside"')[2]


async def test_an_objective_shows_its_history_and_its_gaps(look: Callable) -> None:
    dom = await look("#/slo/shop-availability?days=1")
    assert "Budget left over time" in dom
    assert "Share that failed over time" in dom
    assert 'class="unseen"' in dom
    assert "nobody wrote it" in dom
    dom = await look("#/slo/nothing-of-that-name")
    assert "No Objective of that name" in dom


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("page", PAGES)
async def test_the_pages_fit(draw: Callable, page: str, width: int) -> None:
    size = (width, SIZES[width])
    assert await draw(PAGES[page], page, *size) == size
