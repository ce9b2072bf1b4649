"""What judging costs a rollout: one look a second, from the stored state to the next one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import numpy as np

from andon.api.v1.definitions import JudgePolicy
from andon.api.v1.simulation import Behaviour, Latency, ScenarioSpec
from andon.domains.delivery.judge import (
    JudgeState,
    fold,
    frozen_thresholds,
    judge_sample,
    start_state,
)
from andon.domains.reliability.simulator.traffic import draw, samples, stable_before
from bench.ratio import Ratio

LOOKS = 600
POLICY = JudgePolicy()
SHOP = Behaviour(errors=0.002, latency=Latency(median_seconds=0.05, spread=0.9))
BUSY = ScenarioSpec(
    harmful=False,
    requests_per_second=1000,
    minutes=LOOKS / 60,
    interval_seconds=1,
    canary=SHOP,
    stable=SHOP,
)


def measure() -> Iterator[Ratio]:
    chance = np.random.default_rng(1)
    frozen = frozen_thresholds(stable_before(BUSY, chance), None)
    seen = list(samples(BUSY, draw(BUSY, chance)))
    memory = msgspec.to_builtins(start_state(POLICY, None, frozen))
    before = time.process_time()
    for sample in seen:
        state = fold(msgspec.convert(memory, JudgeState), sample)
        memory = msgspec.to_builtins(state)
        msgspec.to_builtins(sample, str_keys=True)
        judge_sample(state, sample, POLICY, None)
    took = time.process_time() - before
    yield Ratio("of a core, a rollout", 100 * took / len(seen), 1, "%", most=True)
    yield Ratio("state", len(msgspec.json.encode(memory)) / 1024, 8, "KiB", most=True)
