"""Log templates: how fast our miner is, and how well it groups, against drain3 in the same run.

The sets of loghub lie beside the project. drain3 0.9.11 pins cachetools and jsonpickle exactly, so it is
installed by pip into a folder of its own, and left out where that cannot be.

Mixed stream: the lines of all sets in a fixed disorder, every number replaced by a random one.
"""

from __future__ import annotations

import importlib
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from andon.calc.logtemplates import Miner
from andon.testing.grouping import Grouping, grouping, labelled
from bench.ratio import Ratio

SETS = Path(__file__).parents[2] / "shared" / "conformance" / "loghub-2k"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "andon-bench"
ROUNDS = 3
LINES = 196_000
NUMBER = re.compile(r"[0-9]+")

Labelled = dict[str, tuple[list[str], list[str]]]


def measure() -> Iterator[Ratio]:
    if not SETS.is_dir():
        print(f"logs: the sets of loghub are not at {SETS}", flush=True)
        return
    sets = labelled(SETS)
    ours = [_ours(*one) for one in sets.values()]
    accuracy, f1 = (statistics.mean(column) for column in zip(*ours, strict=True))
    stream = _stream(sets)
    speed = max(_speed(lambda: Miner().learn_all(stream)) for _ in range(ROUNDS))
    yield Ratio("templates, mixed stream", speed, 100_000, "lines/s")
    drain3 = _drain3()
    if drain3 is None:
        print("logs: drain3 cannot be installed here", flush=True)
        yield Ratio("templates, grouping accuracy", accuracy, 0.78, "")
        yield Ratio("templates, grouping F1", f1, 0.79, "")
        return
    theirs = [grouping([*map(drain3(), lines)], true) for lines, true in sets.values()]
    peer_accuracy, peer_f1 = (statistics.mean(column) for column in zip(*theirs, strict=True))
    yield Ratio("templates, grouping accuracy of drain3", peer_accuracy, 0, "")
    yield Ratio("templates, grouping accuracy", accuracy, peer_accuracy, "")
    yield Ratio("templates, grouping F1", f1, peer_f1, "")
    learn = drain3()
    some = stream[: LINES // 8]
    peer_speed = len(some) / _took(lambda: [learn(line) for line in some])
    yield Ratio("templates, speed over drain3's", speed / peer_speed, 2)


def _ours(lines: list[str], true: list[str]) -> Grouping:
    miner = Miner()
    return grouping([miner.canonical(id) for id in miner.learn_all(lines)], true)


def _stream(sets: Labelled) -> list[str]:
    chance = random.Random(6)
    lines = [line for lines, _ in sets.values() for line in lines]
    return [
        NUMBER.sub(lambda found: str(chance.randrange(10 ** len(found.group()))), line)
        for line in chance.choices(lines, k=LINES)
    ]


def _speed(work: Callable[[], object]) -> float:
    return LINES / _took(work)


def _took(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _drain3() -> Callable[[], Callable[[str], object]] | None:
    """Return what makes a learning drain3 with its default settings."""
    folder = CACHE / "drain3-0.9.11"
    if not folder.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
        try:
            subprocess.run([*pip, "drain3==0.9.11"], check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError):
            return None
    sys.path.insert(0, str(folder))
    miner = importlib.import_module("drain3.template_miner")
    config = importlib.import_module("drain3.template_miner_config")

    def make() -> Callable[[str], object]:
        one = miner.TemplateMiner(config=config.TemplateMinerConfig())
        return lambda line: one.add_log_message(line)["cluster_id"]

    return make
