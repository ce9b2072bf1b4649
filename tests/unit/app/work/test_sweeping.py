"""Retention forgets what ended long ago, and nothing that is still needed."""

from __future__ import annotations

from pathlib import Path

from andon.api.v1.control import Selector
from andon.app.work import sweeping
from andon.testing.scenario import Scenario

FOLDER = Path(__file__).parents[3] / "scenario"
DAY = 86400.0


def played(folder: Path, *changes: str) -> Scenario:
    steps = [{"ship": one} for one in changes]
    waits = [{"wait": f"until change {one} is over"} for one in changes]
    play = [item for pair in zip(steps, waits, strict=True) for item in pair]
    scenario = Scenario({"play": [*play, {"wait": 60}]}, FOLDER, folder / "line.db")
    assert not scenario.play()
    return scenario


def test_old_changes_go_and_what_runs_and_can_be_gone_back_to_stays(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sweeping, "NEWEST_KEPT", 0)
    scenario = played(tmp_path, "v1", "v2", "v3")
    line = scenario.line
    events = len(line.ledger())
    now = line.clock.now()
    assert line.tx(lambda tx: sweeping.sweep(tx, now - DAY)) == 0
    assert line.tx(lambda tx: sweeping.sweep(tx, now + DAY)) > 3
    changes = line.look(lambda tx: tx.list(Selector(kind="Change")))
    assert [one.spec.message for one in changes] == ["v2", "v3"]
    runs = line.look(lambda tx: tx.list(Selector(kind="Run")))
    assert {one.spec.change for one in runs} == {one.name for one in changes}
    assert line.ledger()[events:] == [f"retention.swept {line.ledger()[events].split()[1]}"]
    assert line.tx(lambda tx: sweeping.sweep(tx, now + DAY)) == 0
    scenario.close()


def test_the_newest_changes_stay_however_old_they_are(tmp_path: Path):
    scenario = played(tmp_path, "v1", "v2", "v3")
    line = scenario.line
    later = line.clock.now() + 1000 * DAY
    assert line.tx(lambda tx: sweeping.sweep(tx, later)) == 0
    scenario.close()
