"""What the judge of a rollout saw, in a real browser, over a rollout that was really judged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from chromium import CHROMIUM
from msgspec.structs import replace

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.app.builds.desk import Builds
from andon.app.judging import REQUESTS, Judging
from andon.ports.offices import Offices
from andon.ports.store import Tx
from andon.store import open_store
from andon.testing.built import LogFolder
from andon.testing.clock import FakeClock
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.scenario import Scenario
from andon.testing.serving import served

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
SCENARIOS = Path(__file__).parents[1] / "scenario"
SIZES = {1280: 1100, 390: 1900}


@pytest.fixture(scope="module")
def names(folder: Path) -> dict[str, str]:
    """Play the story of a bad change, and tell the names of what became of it."""
    script = yaml.safe_load((SCENARIOS / "bad_change.yaml").read_text())
    scenario = Scenario(script, SCENARIOS, folder / "andon.db")
    assert scenario.play() == []
    found = {
        "bad": scenario._named("rollout-prod-web-v2"),
        "change": scenario._named("v2"),
        "now": str(scenario.line.clock.now()),
    }
    scenario.close()
    return found


def count_traffic(metrics: MetricChunks, now: float) -> None:
    """Have 100 requests a second be counted."""
    for back, count in ((600, 0), (300, 30_000), (0, 60_000)):
        one = {"__name__": REQUESTS, "class": "2xx", "environment": "prod", "service": "web"}
        metrics.append(round(1000 * (now - back)), [(tuple(sorted(one.items())), float(count))])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path, names: dict[str, str]) -> AsyncIterator[str]:
    clock = FakeClock(float(names["now"]))
    store, metrics = open_store(str(folder / "andon.db"), source="/test"), MetricChunks(folder)
    count_traffic(metrics, clock.now())

    def set_out_again(tx: Tx) -> None:
        found = tx.require("Change", names["change"])
        tx.put_status(found, replace(found.status, phase="Running"))

    await store.transact(set_out_again)
    offices = Offices(
        line=StillLine(endless=False),
        access=FixedDoor({"guest": ADMINISTRATOR}),
        builds=Builds(store, LogFolder(folder / "logs").read, clock),
        judging=Judging(store, metrics, clock),
    )
    async with served(offices, folder) as address:
        yield address
    metrics.close()
    store.close()


async def test_a_rollout_shows_evidence_against_its_threshold_and_both_counts(
    look: Callable, names: dict[str, str]
) -> None:
    dom = await look(f"#/runs/{names['bad']}")
    assert 'aria-label="Evidence of harm: ' in dom
    assert " of 4.6" in dom
    assert 'aria-label="Evidence it is fit: ' in dom
    assert 'aria-label="Share that failed so far: new ' in dom
    assert dom.count('class="allowed"') == 2
    assert '<i aria-hidden="true">✗</i>rolled back</span>' in dom
    assert "failed; running 0 of" in dom
    assert "?beside" in dom
    assert "kayenta" not in dom


async def test_on_request_other_rules_stand_beside(look: Callable, names: dict[str, str]) -> None:
    dom = await look(f"#/runs/{names['bad']}?beside")
    for rule in ("andon", "threshold", "argo", "flagger", "kayenta"):
        assert f'<th scope="row">{rule}</th>' in dom
    assert "byte for byte" in dom


async def test_a_change_under_way_says_what_will_be_seen_of_it(
    look: Callable, names: dict[str, str]
) -> None:
    dom = await look(f"#/changes/{names['change']}")
    assert "web in prod, at 100 requests per second: " in dom
    assert "a tripling of errors " in dom


@pytest.mark.parametrize("width", SIZES)
async def test_page_fits_a_screen(draw: Callable, names: dict[str, str], width: int) -> None:
    size = (width, SIZES[width])
    assert await draw(f"#/runs/{names['bad']}?beside", "judged", *size) == size
