"""What the API costs: 1,000 requests a second, and 200 readers of the event stream.

The real program (``andon up`` on SQLite, loopback), over a folder with 1,000 Runs, 20 Environments, 20
Holds and 500 events, without engine turns: the line is paused. Callers are another process, over kept
connections, with the administrator's token where there is one. Cost is processor time of the control
plane and, as it is asked for every status, of the agent, from /proc. The mix is what pages and programs
ask most; single questions are told beside it. One change a second is a Hold pulled or lifted through the
API, and its cost is counted with that of the streams, as is that of the idle program.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from andon.api.v1.records import RunStatus
from andon.app.place import SQLITE
from andon.client.wire import Client
from andon.domains.line import events
from andon.ports.store import Tx
from andon.store import open_store
from bench.environments import in_sync
from bench.ratio import Ratio
from bench.runs import build

RATE, SECONDS, CONNECTIONS = 1_000, 6.0, 32
SHARE_BAR = 0.5
"""Of a core, per 500 requests a second."""
STREAMS, CHANGES, STREAMS_BAR = 200, 10, 0.10
ENVIRONMENTS, RUNS, HOLDS = 20, 1_000, 20
WARM_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_SECONDS = 60.0

ALONE = {"status": "/status", "50 runs": "/runs", "a run": "/runs/build-1", "health": "/health"}
MIX = [*ALONE.values(), "/changes", "/ledger", "/objects/Environment/env-1", "/incidents"]


# --- the program ---------------------------------------------------------------------------------


async def _fill(state: Path) -> None:
    store = open_store(str(state / SQLITE), source="/andon/bench")

    def fill(tx: Tx) -> None:
        now = tx.now()
        runs = [build(f"build-{n}", 1, chain=False) for n in range(RUNS)]
        places = [new for n in range(ENVIRONMENTS) for new in in_sync(f"env-{n}")]
        for number, new in enumerate([*runs, *places]):
            created, _ = tx.create(new, f"u{number}", now)
            if new.kind == "Run":
                tx.put_status(created, RunStatus(phase="Succeeded", finished_at=now))
        for n in range(500):
            run = events.run_started(f"build-{n}", "repo/shop", "shop-1", "")
            tx.append(run, now)
        tx.pause("a benchmark")

    await store.transact(fill)
    store.close()


@contextmanager
def _program(folder: Path) -> Iterator[tuple[Client, int]]:
    state = folder / "state"
    state.mkdir(mode=0o700)
    asyncio.run(_fill(state))
    command = [sys.executable, "-m", "andon", "--state", str(state)]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([*command, "up", "--port", "0"], stdout=log, stderr=log)
        try:
            client = Client(state)
            _until_it_answers(client, running, folder / "log")
            yield client, _port(folder / "log")
        finally:
            running.terminate()
            running.wait()
            subprocess.run([*command, "down"], stdout=log, stderr=log, check=True)


def _until_it_answers(client: Client, running: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while "http://" not in log.read_text():
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    for n in range(HOLDS):
        client.post("/holds", {"scope": {"environment": f"env-{n}"}, "reason": "a benchmark"})


def _port(log: Path) -> int:
    return int(log.read_text().partition("http://127.0.0.1:")[2].split()[0].rstrip("/"))


def _token(client: Client) -> str:
    assert isinstance(client.place, Path)
    file = client.place / "admin.token"
    return file.read_text().strip() if file.exists() else ""


# --- measuring -----------------------------------------------------------------------------------


class Meter:
    """Processor time of the control plane and of its agent."""

    def __init__(self, client: Client) -> None:
        health = client.get("/health")
        self._pids = {"server": health["pid"], "agent": health["agent"]["pid"]}

    def read(self) -> dict[str, float]:
        return {name: _processor_seconds(pid) for name, pid in self._pids.items()}


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _callers(what: str, **arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.callers", what, json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _told(callers: subprocess.Popen[str]) -> dict[str, float]:
    assert callers.stdout is not None
    told: dict[str, float] = json.loads(callers.communicate()[0])
    assert callers.returncode == 0
    return told


def _load(client: Client, port: int, paths: list[str], rate: int, seconds: float) -> dict[str, Any]:
    asked = {"port": port, "token": _token(client), "paths": paths, "connections": CONNECTIONS}
    _told(_callers("ask", **asked, rate=rate, seconds=WARM_SECONDS))
    meter = Meter(client)
    before = meter.read()
    told = _told(_callers("ask", **asked, rate=rate, seconds=seconds))
    spent = {name: now - before[name] for name, now in meter.read().items()}
    return {**told, **{name: 500 * cost / told["answered"] for name, cost in spent.items()}}


def _requests(client: Client, port: int) -> Iterator[Ratio]:
    for name, path in ALONE.items():
        cost = _load(client, port, [path], RATE // 5, SECONDS / 3)
        yield Ratio(f"{name}, per 500/s", cost["server"], 0, "core")
    cost = _load(client, port, MIX, RATE, SECONDS)
    yield Ratio("mix, reached", cost["rate"], 0.95 * RATE, "requests/s")
    yield Ratio("mix, 99 of 100 answered within", cost["p99"] * 1000, 0, "ms")
    yield Ratio("mix, per 500/s, the agent", cost["agent"], 0, "core")
    both = cost["server"] + cost["agent"]
    yield Ratio("mix, per 500/s", both, SHARE_BAR, "core", most=True)


def _streams(client: Client, port: int) -> Iterator[Ratio]:
    for streams in (1, STREAMS):
        listening = _callers("listen", port=port, token=_token(client), streams=streams)
        assert listening.stdout is not None
        assert listening.stdout.readline() == "open\n"
        time.sleep(WARM_SECONDS)
        meter, began = Meter(client), time.perf_counter()
        before = meter.read()
        _change(client, began)
        share = (meter.read()["server"] - before["server"]) / (time.perf_counter() - began)
        told = json.loads(listening.communicate("end\n")[0])
        assert told["least"] == told["most"] >= CHANGES, told
        bar, name = (STREAMS_BAR, f"{streams} streams") if streams > 1 else (0, "one stream")
        yield Ratio(f"{name}, one change a second", share, bar, "core", most=bool(bar))


def _change(client: Client, began: float) -> None:
    """Pull and lift, once a second."""
    name = ""
    for n in range(CHANGES):
        if name:
            client.post(f"/holds/{name}/lift", {"reason": "a benchmark"})
            name = ""
        else:
            scope = {"environment": "env-1", "service": "shop"}
            name = client.post("/holds", {"scope": scope, "reason": "a benchmark"})["name"]
        time.sleep(max(0.0, began + n + 1 - time.perf_counter()))


def measure() -> Iterator[Ratio]:
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder,
        _program(Path(folder)) as (client, port),
    ):
        yield from _requests(client, port)
        yield from _streams(client, port)
