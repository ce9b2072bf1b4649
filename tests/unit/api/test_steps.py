"""Steps: what is over is looked up, and it makes no difference but to memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from andon.api.v1.records import StepRow
from andon.api.v1.steps import AT_HAND, Steps

MANY = 3 * AT_HAND


def row(number: int) -> StepRow:
    state = "waiting" if number % 50 == 7 else "failed" if number % 50 == 9 else "passed"
    return StepRow(name=f"j{number}", position=number, state=state, message=f"m{number}")


ROWS = [row(number) for number in range(MANY)]


class Kept:
    """Who keeps them all."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def look_up(self, names: Sequence[str]) -> Iterator[StepRow]:
        """Return some, last first."""
        self.asked.append(len(names))
        return (row for row in reversed(ROWS) if row.name in set(names))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def steps(kept: Kept) -> Steps:
    made = Steps(ROWS)
    made.lean_on(kept.look_up)
    return made


def test_all_are_there_in_order_though_few_are_held(steps: Steps, kept: Kept):
    assert list(steps.values()) == ROWS
    assert dict(steps) == {row.name: row for row in ROWS}
    assert list(steps.among("failed")) == [row for row in ROWS if row.state == "failed"]
    assert len(steps) == MANY
    assert max(kept.asked) <= AT_HAND


def test_states_and_what_is_open_are_at_hand(steps: Steps, kept: Kept):
    assert [steps.state(row.name) for row in ROWS] == [row.state for row in ROWS]
    assert list(steps.names("waiting", "failed")) == [
        row.name for row in ROWS if row.state != "passed"
    ]
    assert list(steps.open("waiting")) == [row for row in ROWS if row.state == "waiting"]
    assert steps["j7"] == ROWS[7]
    assert steps.count("waiting", "failed") == sum(row.state != "passed" for row in ROWS)
    assert "j0" in steps
    assert kept.asked == []


def test_the_latest_that_are_over_are_at_hand(steps: Steps, kept: Kept):
    over = [row for row in ROWS if row.state != "waiting"]
    assert [steps[row.name] for row in over[-AT_HAND:]] == over[-AT_HAND:]
    assert kept.asked == []
    assert steps[over[-AT_HAND - 1].name] == over[-AT_HAND - 1]
    assert kept.asked == [1]


def test_what_is_put_counts_before_what_is_kept(steps: Steps):
    changed = StepRow(name="j0", position=0, state="failed", message="since")
    mine = steps.copy()
    mine.put(changed)
    assert mine["j0"] == changed
    assert list(mine.values()) == [changed, *ROWS[1:]]
    assert steps["j0"] == ROWS[0]


def test_who_leans_on_nobody_holds_all():
    assert list(Steps(ROWS).values()) == ROWS


def test_a_name_that_nothing_has_is_no_step(steps: Steps):
    assert "j" not in steps
    assert steps.get("j") is None
    with pytest.raises(KeyError):
        steps["j"]
