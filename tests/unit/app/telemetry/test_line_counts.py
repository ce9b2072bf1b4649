"""An Objective about lines with a label of their own is counted from when it is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from andon.api.v1.objectives import Indicator, LogsIndicator, ObjectiveSpec, Target
from andon.app.telemetry.line_counts import LineCounts
from andon.app.telemetry.objectives import Objectives
from andon.testing.log_suite import line
from andon.testing.promises import SCRAPE_SECONDS, PromiseWorld


def test_lines_with_a_label_burn_the_budget_of_the_objective_that_names_it(tmp_path: Path) -> None:
    world, counts = PromiseWorld(tmp_path), LineCounts()
    parts = (world.store, world.turns, world.metrics, world.tallies, world.clock)
    objectives = Objectives(*parts, split=counts.split)
    logs = LogsIndicator(bad={"severity": "error", "code": "E42"})
    spec = ObjectiveSpec(
        service="shop", indicator=Indicator(logs=logs), targets=(Target(target=0.9, name="lines"),)
    )
    world.promise("quiet", spec)

    def live(ticks: int, *said: str) -> None:
        for _ in range(ticks):
            world.clock.advance(SCRAPE_SECONDS)
            counts([line(1, text, severity="error") for text in ("code=E1", "plain", *said)])
            world.metrics.append(round(world.clock.now() * 1000), counts.rows())
        asyncio.run(objectives.turn())

    live(1)
    live(40)
    standing = objectives.view.promises["quiet/prod/lines"].standing
    assert (standing.state, standing.counts.bad) == ("met", 0)
    live(40, "code=E42")
    live(1)
    standing = objectives.view.promises["quiet/prod/lines"].standing
    assert (standing.state, standing.counts.bad) == ("missed", 40)
    world.close()
