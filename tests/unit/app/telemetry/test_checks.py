"""Checks are asked in time; what was not asked is told as missed, and never as good or bad."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from andon.adapters.checks import Place
from andon.adapters.checks.results import ResultFile
from andon.adapters.outbound import LOCAL
from andon.api.v1.access import Identity
from andon.api.v1.checks import CheckResult, CheckSpec, TcpQuestion
from andon.api.v1.control import NewObject
from andon.api.v1.records import Empty
from andon.api.v1.workers import WorkerSpec, WorkerStatus
from andon.app.telemetry.checks import LATE_SECONDS, Checks
from andon.domains.observability.checking import slot_at
from andon.kernel.errors import Denied, NotFound
from andon.ports.telemetry import Accepted, Labels
from andon.store import open_store
from andon.testing.clock import FakeClock

EVERY = 30.0


class Counters:
    """A MetricStore as far as Checks go: the newest value of each series, and what came before."""

    def __init__(self) -> None:
        self.told: dict[str, list[float]] = {}

    def append(self, at_ms: int, rows: list[tuple[Labels, float]]) -> Accepted:
        for labels, value in rows:
            found = dict(labels)
            key = f"{found.get('worker')} {found.get('result', found['__name__'])}"
            self.told.setdefault(key, []).append(value)
        return Accepted(len(rows))

    def newest(self, worker: str = "here") -> dict[str, float]:
        words = ("passed", "failed", "missed")
        return {word: self.told[f"{worker} {word}"][-1] for word in words}


async def nothing_new() -> None:
    """No service is deployed."""


class World:
    """Checks over a store, with time that moves when told."""

    def __init__(self, folder: Path, spec: CheckSpec) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.store = open_store(f"sqlite:///{folder}/andon.db", source="/andon/test")
        self.metrics = Counters()
        self.checks = self.begun()
        self.new = NewObject(kind="Check", name="front", spec=spec, status=Empty())

    def begun(self) -> Checks:
        self.file = ResultFile(self.folder / "checks.db")
        place = Place(guard=LOCAL, address_of=lambda *_: "", now=self.clock.now)
        return Checks(self.store, self.file, self.metrics, place, nothing_new)

    async def turn(self) -> None:
        """Take one turn, and wait for what it began."""
        await self.checks.turn(self.clock.now())
        while self.checks._tasks:
            await asyncio.gather(*self.checks._tasks.values())

    async def turns(self, seconds: float) -> None:
        for _ in range(round(seconds / 5)):
            self.clock.advance(5)
            await self.turn()


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
async def world(tmp_path, listener):
    spec = CheckSpec(every_seconds=EVERY, timeout_seconds=5, tcp=TcpQuestion(address=listener))
    world = World(tmp_path, spec)
    await world.store.transact(lambda tx: tx.create(world.new, "front", tx.now()))
    yield world
    world.store.close()


async def test_check_is_asked_once_each_interval_and_counted(world: World):
    await world.turn()
    await world.turns(4 * EVERY)
    assert world.metrics.newest() == {"passed": 5, "failed": 0, "missed": 0}
    assert world.metrics.told["here passed"][0] == 0
    (check,) = await world.checks.list()
    assert (check["standing"], check["kind"]) == ("passing", "tcp")


async def test_answer_that_is_wrong_counts_as_failed_and_then_it_is_failing(world: World, tmp_path):
    unused = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{unused.getsockname()[1]}"
    unused.close()

    def change(tx):
        found = tx.get("Check", "front")
        tx.put_spec(found, replace(found.spec, tcp=TcpQuestion(address=address)))

    await world.store.transact(change)
    await world.turn()
    assert (await world.checks.list())[0]["standing"] == "unsteady"
    await world.turns(EVERY)
    assert (await world.checks.list())[0]["standing"] == "failing"
    assert world.metrics.newest() == {"passed": 0, "failed": 2, "missed": 0}


async def test_time_in_which_nobody_asked_is_told_as_missed(world: World):
    await world.turn()
    world.clock.advance(10 * EVERY)
    assert (await world.checks.list())[0]["standing"] == "unknown"
    await world.turn()
    assert world.metrics.newest() == {"passed": 2, "failed": 0, "missed": 9}


async def test_time_in_which_andon_was_down_is_told_as_missed(world: World):
    await world.turns(EVERY)
    passed = world.metrics.newest()["passed"]
    world.clock.advance(10 * EVERY)
    world.checks = world.begun()
    await world.turn()
    newest = world.metrics.newest()
    assert (newest["passed"], newest["missed"]) == (1, 9)
    assert passed >= 1


async def test_counters_begin_at_zero_after_a_restart_so_that_nothing_is_lost(world: World):
    await world.turn()
    world.checks = world.begun()
    world.clock.advance(EVERY)
    await world.turn()
    assert world.metrics.told["here passed"] == [0, 1, 0, 1]


async def test_check_that_is_gone_is_asked_no_more(world: World):
    await world.turn()
    await world.store.transact(lambda tx: tx.forget(tx.get("Check", "front")))
    await world.turns(2 * EVERY)
    assert world.metrics.newest()["passed"] == 1
    assert await world.checks.list() == []
    with pytest.raises(NotFound, match="no check front"):
        await world.checks.show("front")


# --- workers elsewhere ----------------------------------------------------------------------------

TOKYO = Identity(name="service:tokyo")


@pytest.fixture
async def abroad(world: World) -> World:
    worker = NewObject(
        kind="Worker",
        name="tokyo",
        spec=WorkerSpec(by=TOKYO.name),
        status=WorkerStatus(),
    )

    def put(tx):
        tx.create(worker, "tokyo", tx.now())
        found = tx.get("Check", "front")
        tx.put_spec(found, replace(found.spec, workers=("tokyo",)))

    await world.store.transact(put)
    await world.turn()
    return world


def result(world: World, **changes: object) -> CheckResult:
    slot = slot_at("front", EVERY, world.clock.now())
    return CheckResult(
        **{"check": "front", "worker": "tokyo", "slot": slot, "passed": True, **changes}
    )


async def test_worker_asks_what_names_it_and_what_it_tells_counts_once(abroad: World):
    (order,) = await abroad.checks.of_worker("tokyo", who=TOKYO)
    assert order["name"] == "front"
    abroad.clock.advance(EVERY)
    told = [result(abroad), result(abroad, passed=False), result(abroad, check="other")]
    assert await abroad.checks.take("tokyo", told, who=TOKYO) == {"counted": 1, "late": 2}
    assert abroad.metrics.newest("tokyo") == {"passed": 1, "failed": 0, "missed": 0}


async def test_silent_worker_is_told_as_missed_and_what_it_says_then_is_late(abroad: World):
    known = slot_at("front", EVERY, abroad.clock.now())
    abroad.clock.advance(EVERY)
    late = result(abroad)
    await abroad.turns(3 * EVERY)
    tries_and_grace = 2 * 5 + LATE_SECONDS
    due = slot_at("front", EVERY, abroad.clock.now() - EVERY - tries_and_grace)
    assert due > late.slot
    assert abroad.metrics.newest("tokyo")["missed"] == (due - known) / EVERY
    assert await abroad.checks.take("tokyo", [late], who=TOKYO) == {"counted": 0, "late": 1}


async def test_nobody_speaks_for_anothers_worker(abroad: World):
    mallory = Identity(name="service:mallory")
    with pytest.raises(Denied):
        await abroad.checks.take("tokyo", [result(abroad)], who=mallory)
    with pytest.raises(Denied):
        await abroad.checks.of_worker("tokyo", who=mallory)
    abroad.clock.advance(EVERY)
    ahead = result(abroad, slot=abroad.clock.now() + 1000)
    assert await abroad.checks.take("tokyo", [ahead], who=TOKYO) == {"counted": 0, "late": 1}
