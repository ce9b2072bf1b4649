"""The page of alerts in a real browser: by service, with what is quiet and what budgets allow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from chromium import CHROMIUM

from andon.api.v1.alerts import AlertsSpec
from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.control import NewObject
from andon.api.v1.objectives import ObjectiveSpec, RuleStatus
from andon.app.telemetry.alerts import Alerts
from andon.app.telemetry.budgets import Budgets
from andon.app.telemetry.watch import Watch
from andon.ports.asking import Asked
from andon.ports.offices import Offices
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.promises import PromiseWorld
from andon.testing.serving import served

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
SIZES = {1280: 1100, 390: 2100}
HOSTILE = '<img src="x" onerror="document.title=1">'


def offices_of(world: PromiseWorld) -> Offices:
    """Return who answers for a service whose budget burns, and for what another tool tells."""
    parts, spec = (world.store, world.turns, world.clock), AlertsSpec()
    budgets = Budgets(*parts)
    watch = Watch(*parts, world.objectives, budgets, spec)
    door = FixedDoor({"guest": ADMINISTRATOR})
    alerts = Alerts(*parts, watch, spec, door)
    rule = NewObject(
        kind="BudgetPolicy", name="careful", spec=BudgetPolicySpec(), status=RuleStatus()
    )
    world.transact(lambda tx: tx.create(rule, "policy", 0.0))
    world.promise("low", ObjectiveSpec(service="shop", availability=0.9))
    world.promise("high", ObjectiveSpec(service="shop", availability=0.995))
    world.live(1800)
    world.live(3600, failed=15)
    labels = {"alertname": "Disk", "service": "db", "severity": "warning", "instance": "db1"}
    firing = {"status": "firing", "labels": labels, "annotations": {"summary": HOSTILE}}

    async def fill() -> None:
        await watch.turn()
        await alerts.take_alertmanager({"alerts": [firing]}, asked=Asked(by="service:prom"))
        await alerts.silence(
            ['service="db"'], seconds=7200, asked=Asked(by="person:ann"), reason=HOSTILE
        )

    asyncio.run(fill())
    return Offices(line=StillLine(endless=False), access=door, alerts=alerts, budgets=budgets)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path) -> AsyncIterator[str]:
    began = time.time() - 5400
    world = await asyncio.to_thread(PromiseWorld, folder, (), began)
    offices = await asyncio.to_thread(offices_of, world)
    async with served(offices, folder) as address:
        yield address
    await asyncio.to_thread(world.close)


async def test_alerts_stand_by_their_service_with_what_is_quiet_and_what_budgets_allow(
    look: Callable,
) -> None:
    dom = await look("#/alerts")
    assert dom.count('class="alerts-group"') == 2
    assert "prod / shop" in dom
    assert "says it already" in dom
    assert "Silenced by silence-1." in dom
    assert "deploy: deny" in dom
    assert "could never fire" in dom
    assert "andon alerts ack alert-" in dom
    assert "<img src=" not in dom.partition('id="inside"')[2]


@pytest.mark.parametrize("width", SIZES)
async def test_the_page_fits(draw: Callable, width: int) -> None:
    size = (width, SIZES[width])
    assert await draw("#/alerts", "alerts", *size) == size
