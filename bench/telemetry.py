"""What seeing costs: bytes a sample, time a scrape, and Objectives over 30 days beside Prometheus.

Data A: 2,000 series of many kinds, one day; data B: 200 counters, 30 days with resets; a sample every 15 s,
made by seed. Prometheus (Debian's 2.42 or newer, left out where there is none) is given data B as blocks,
made once by promtool and kept in the cache folder, and asked over loopback; ours is asked in process, as
the judge asks it. Both answer each Objective's share of bad requests, from disk as far as it lies there.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import numpy as np

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.metrics.upkeep import Upkeep
from andon.adapters.telemetry.scrape.target import Target
from andon.ports.telemetry import Labels, Matcher
from bench.ratio import Ratio

STEP_SECONDS = 15
A_DAY = 86400 // STEP_SECONDS
SERVICES, DAYS, RESETS = 100, 30, 10
WINDOWS = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21600, "3d": 259_200, "30d": 2_591_000}
END = 1_769_817_600
"""2026-01-31, midnight UTC."""
LATEST = 3600 // STEP_SECONDS
"""So many samples are in no chunk yet."""
SCRAPED = 2000
BLOCK_HOURS = 54
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "andon-bench"
NAME = "http_requests_total"


def measure() -> Iterator[Ratio]:
    yield from _scrape()
    yield from _bytes_of_mixed_series()
    yield from _objectives()


# --- one scrape -----------------------------------------------------------------------------------


def _scrape() -> Iterator[Ratio]:
    with _store() as store:
        target = Target(store, {"job": "shop", "instance": "127.0.0.1:9000"})
        took = []
        for step, text in enumerate(_texts(60)):
            began = time.process_time()
            target.take(text, 1000 * (END + step * STEP_SECONDS), 0.01)
            took.append(time.process_time() - began)
    yield Ratio(
        "a scrape of 2,000 samples", 1000 * sorted(took)[len(took) // 2], 5, "ms CPU", most=True
    )


def _texts(count: int) -> Iterator[str]:
    rng = Random(1)
    names = [
        f'http_seconds_bucket{{handler="/api/{i // 20}",method="GET",le="{2 ** (i % 20) / 1000:g}"}}'
        for i in range(SCRAPED)
    ]
    counts = [0] * SCRAPED
    for _ in range(count):
        counts = [one + rng.randrange(50) for one in counts]
        lines = (f"{name} {value}" for name, value in zip(names, counts, strict=True))
        yield "# TYPE http_seconds histogram\n" + "\n".join(lines) + "\n"


# --- bytes ----------------------------------------------------------------------------------------


def _bytes_of_mixed_series() -> Iterator[Ratio]:
    rng = np.random.default_rng(1)
    times = 1000 * (END + STEP_SECONDS * np.arange(A_DAY))
    with _store() as store:
        upkeep = _upkeep(store)
        for number in range(2000):
            labels = (("__name__", f"mixed_{number % 20}"), ("i", str(number)))
            upkeep.load(labels, times, _kinds(rng)[number % 20](A_DAY))
        used = store.database.used_bytes()
    yield Ratio("bytes a sample, mixed (data A)", used / (2000 * A_DAY), 1.5, "B", most=True)


def _kinds(rng: Any) -> list[Callable[[int], Any]]:
    """Return makers of series in the proportions that exporters tell them."""

    def counted(n: int) -> Any:
        return np.cumsum(rng.poisson(rng.choice([0.1, 2, 40]), n)).astype(float)

    def seconds(n: int) -> Any:
        return np.round(np.cumsum(rng.gamma(2, 0.05, n)), 2)

    def measured(n: int) -> Any:
        return np.round(20 + np.cumsum(rng.normal(0, 0.05, n)), 1)

    def bytes_used(n: int) -> Any:
        steps = np.where(rng.random(n) < 0.2, rng.integers(-64, 64, n) * 4096, 0)
        return (5e8 + np.cumsum(steps)).astype(float)

    def precise(n: int) -> Any:
        return np.cumsum(rng.gamma(2, 0.05, n))

    def constant(n: int) -> Any:
        return np.full(n, float(rng.integers(1, 1000)))

    kinds = (counted, 9), (seconds, 2), (measured, 3), (bytes_used, 2), (precise, 1), (constant, 3)
    return [kind for kind, share in kinds for _ in range(share)]


# --- Objectives -----------------------------------------------------------------------------------


def _objectives() -> Iterator[Ratio]:
    with _store() as store:
        upkeep = _upkeep(store)
        for labels, times, values in _data_b():
            upkeep.load(labels, times[:-LATEST], values[:-LATEST])
        used = store.database.used_bytes()
        count = 2 * SERVICES * (DAYS * A_DAY - LATEST)
        yield Ratio("bytes a sample, counters (data B)", used / count, 1.5, "B", most=True)
        _append_latest(store)
        ours, took = _timed(lambda: _ask_ours(store))
    yield Ratio("100 Objectives x 6 windows over 30 days", 1000 * took, 0, "ms")
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        print("telemetry: no prometheus here (apt install prometheus)", flush=True)
        return
    with _prometheus() as ask:
        theirs, peers = _timed(lambda: _ask_prometheus(ask))
    yield Ratio("the same of Prometheus", 1000 * peers, 0, "ms")
    yield Ratio("100 Objectives x 6 windows, against Prometheus", peers / took, 20)
    apart = max(abs(ours[key] / theirs[key] - 1) for key in theirs if key[1] == "30d")
    yield Ratio("largest difference of a share over 30 days", apart, 1e-3, "", most=True)


def _data_b() -> Iterator[tuple[Labels, Any, Any]]:
    n = DAYS * A_DAY
    times = 1000 * (END - STEP_SECONDS * np.arange(n)[::-1])
    for service in range(SERVICES):
        rng = np.random.default_rng(service)
        resets = np.sort(rng.integers(1, n, RESETS))
        for code, rate in (("200", 300.0), ("500", 0.6)):
            values = np.cumsum(rng.poisson(rate, n)).astype(float)
            for place in resets:
                values[place:] -= values[place] - rng.poisson(rate)
            labels = (("__name__", NAME), ("code", code), ("service", f"s{service}"))
            yield labels, times, values


def _append_latest(store: MetricChunks) -> None:
    rows = [(labels, values[-LATEST:]) for labels, _, values in _data_b()]
    for place in range(LATEST):
        at_ms = 1000 * (END - STEP_SECONDS * (LATEST - 1 - place))
        store.append(at_ms, [(labels, float(values[place])) for labels, values in rows])


Answers = dict[tuple[int, str], float]


def _ask_ours(store: MetricChunks) -> Answers:
    found = {}
    for service in range(SERVICES):
        whose = [Matcher("__name__", "=", NAME), Matcher("service", "=", f"s{service}")]
        for name, seconds in WINDOWS.items():
            start_ms, end_ms = 1000 * (END - seconds), 1000 * END
            bad = store.increase([*whose, Matcher("code", "=", "500")], start_ms, end_ms)
            every = store.increase(whose, start_ms, end_ms)
            found[service, name] = _grown(bad) / _grown(every)
    return found


def _grown(windows: dict[Labels, Any]) -> float:
    return float(sum(one.increase for one in windows.values()))


def _ask_prometheus(ask: Callable[[str], float]) -> Answers:
    found = {}
    for service in range(SERVICES):
        whose = f'{NAME}{{service="s{service}"'
        for name, seconds in WINDOWS.items():
            bad = f'sum(increase({whose},code="500"}}[{seconds}s]))'
            found[service, name] = ask(f"{bad} / sum(increase({whose}}}[{seconds}s]))")
    return found


def _timed(do: Callable[[], Answers]) -> tuple[Answers, float]:
    """Ask three times, take the shortest: the first reads from disk, others share the machine."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        found = do()
        took.append(time.perf_counter() - began)
    return found, min(took)


# --- Prometheus -----------------------------------------------------------------------------------


@contextmanager
def _prometheus() -> Iterator[Callable[[str], float]]:
    blocks = _blocks()
    port = _free_port()
    with tempfile.TemporaryDirectory() as name:
        config = Path(name, "prometheus.yml")
        config.write_text("global: {}\n")
        command = [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={blocks}",
            "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=name)
        try:
            yield _asking(port, process)
        finally:
            process.terminate()
            process.wait(60)


def _asking(port: int, process: subprocess.Popen[bytes]) -> Callable[[str], float]:
    deadline = time.monotonic() + 120
    while _get(port, "/-/ready")[0] != 200:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("telemetry: prometheus does not begin")
        time.sleep(0.2)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(query: str) -> float:
        line.request("GET", "/api/v1/query?" + urlencode({"query": query, "time": END}))
        (answer,) = json.loads(line.getresponse().read())["data"]["result"]
        return float(answer["value"][1])

    return ask


def _get(port: int, path: str) -> tuple[int, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        line.close()


def _blocks() -> Path:
    """Return Prometheus's folder with data B; made once."""
    folder = CACHE / f"prometheus-{SERVICES}x{DAYS}d-{END}"
    if folder.exists():
        return folder
    print("telemetry: making Prometheus's blocks takes some minutes, once", flush=True)
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    hours = 3600 * BLOCK_HOURS
    for block in range((END - DAYS * 86400) // hours, END // hours + 1):
        _import(making, block * hours, (block + 1) * hours)
    making.rename(folder)
    return folder


def _import(folder: Path, start: int, end: int) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".om") as file:
        file.write(f"# TYPE {NAME.removesuffix('_total')} counter\n")
        for labels, times, values in _data_b():
            named = ",".join(f'{key}="{value}"' for key, value in labels if key != "__name__")
            chosen = (times >= 1000 * start) & (times < 1000 * end)
            pairs = zip(times[chosen].tolist(), values[chosen].tolist(), strict=True)
            file.writelines(f"{NAME}{{{named}}} {v:.0f} {t // 1000}\n" for t, v in pairs)
        file.write("# EOF\n")
        file.flush()
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
        subprocess.run(
            [*command, f"--max-block-duration={BLOCK_HOURS}h", file.name, str(folder)],
            check=True,
            stdout=subprocess.DEVNULL,
        )


# --- within ---------------------------------------------------------------------------------------


@contextmanager
def _store() -> Iterator[MetricChunks]:
    with tempfile.TemporaryDirectory() as name:
        store = MetricChunks(Path(name))
        yield store
        store.close()


def _upkeep(store: MetricChunks) -> Upkeep:
    return Upkeep(store, keep_days=400, max_bytes=1 << 40)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
