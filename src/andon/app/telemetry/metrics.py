"""What keeps metrics going: upkeep of the store, and whatever is collected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.metrics.upkeep import Upkeep
from andon.api.v1.telemetry import MetricsSpec
from andon.kernel.clock import Clock

UPKEEP_SECONDS = 300


def metrics_upkeep(
    store: MetricChunks, spec: MetricsSpec, clock: Clock
) -> Callable[[], Awaitable[None]]:
    """Return the loop that seals, thins and forgets samples."""
    upkeep = Upkeep(store, keep_days=spec.keep_days, max_bytes=spec.max_bytes)

    async def loop() -> None:
        while True:
            await asyncio.to_thread(upkeep.run, int(clock.now() * 1000))
            await asyncio.sleep(UPKEEP_SECONDS)

    return loop
