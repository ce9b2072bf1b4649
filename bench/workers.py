"""Steps a second on Postgres, by one worker and by three, whose turns commit one after another.

A real server of the run's own with ``fsync`` on, and as many real processes, each with an engine and
the real BuildController. Half of the Runs are chains, so that work moves between workers; all are
there before the clock starts, which ends when the last has ended. Every step is an intent, an
outcome, two step rows and a ledger event. The bar is modest, as what workers share is performing:
here the actions return at once, so that the commits are all there is.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event

from andon.api.v1.actions import RunJob
from andon.api.v1.control import Selector
from andon.domains.pipelines.controller import BuildController
from andon.ports.store import Tx
from andon.testing.postgres import programs, running_postgres
from bench.line import Line
from bench.ratio import Ratio
from bench.runs import build, pass_at_once

RUNS, STEPS = 60, 25
WORKERS = 3
BAR = 0.5


def _line(url: str, worker: str) -> Line:
    return Line(url, [BuildController()], {RunJob: pass_at_once}, worker)


def work(url: str, worker: str, stop: Event) -> None:
    """Be a worker until told to stop."""

    async def run() -> None:
        async with _line(url, worker):
            await asyncio.to_thread(stop.wait)

    asyncio.run(run())


async def _seconds(url: str, workers: int) -> float:
    """Return how long so many workers take for all Runs."""
    line = _line(url, "watching")
    await line.store.transact(lambda tx: tx.pause("all begin together"))
    await line.create(*(build(f"run-{n}", STEPS, chain=n % 2 == 0) for n in range(RUNS)))
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    processes = [
        context.Process(target=work, args=(url, f"worker-{n}", stop), daemon=True)
        for n in range(workers)
    ]
    for process in processes:
        process.start()
    await line.until(lambda tx: len(tx.leases()) == workers)
    started = time.perf_counter()
    await line.store.transact(lambda tx: tx.resume())
    await line.until(_all_over)
    took = time.perf_counter() - started
    stop.set()
    for process in processes:
        process.join()
    line.store.close()
    return took


def _all_over(tx: Tx) -> bool:
    return all(run.status.finished_at for run in tx.list(Selector(kind="Run")))


def measure() -> Iterator[Ratio]:
    folder = programs()
    assert folder is not None, "the dev extra brings a Postgres"
    with running_postgres(folder, durable=True) as server:
        speed = {
            workers: RUNS * STEPS / asyncio.run(_seconds(server.new_schema(), workers))
            for workers in (1, WORKERS)
        }
    yield Ratio("one worker", speed[1], 0, "steps/s")
    yield Ratio(f"{WORKERS} workers", speed[WORKERS], 0, "steps/s")
    yield Ratio(f"{WORKERS} workers / one", speed[WORKERS] / speed[1], BAR)
