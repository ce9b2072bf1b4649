"""Flaky tests: who they are, what they cost, and what is to be done about them.

A flake is a fact, not a suspicion: the same test passed and failed where nothing it depends on had
changed. The share of Runs that only pass thanks to another attempt has a budget.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from andon.api.v1.pipelines import Quarantine
from andon.calc.intervals import exact_interval
from andon.domains.pipelines.history import Story
from andon.domains.pipelines.quarantine import DAY_SECONDS, covers, ends_at

QUARANTINE_DAYS = 14
SUSPECT_FLIPS = 3
"""A test that changed sides so often, and never at the same commit, may be flaky or much worked on."""


class Flake(Struct, frozen=True, kw_only=True):
    """How flaky a test is: the share of commits at which it both passed and failed.

    Args:
        story: The test.
        rate: That share.
        low: Lower bound, which holds in 19 cases of 20 together with the upper one.
        high: Upper bound.
        proven: False: it is only suspected, as it changes sides so often.
    """

    story: Story
    rate: float
    low: float
    high: float
    proven: bool = True


class Kept(Struct, frozen=True, kw_only=True):
    """A quarantine, and how it stands.

    Args:
        quarantine: As it is written.
        days_left: Whole days until it is over; negative: it was over so long ago.
        tests: Tests it covers.
        calm: Whether each of them passed lately and none was flaky: it may go.
    """

    quarantine: Quarantine
    days_left: int
    tests: tuple[str, ...]
    calm: bool


def flakiest(stories: Iterable[Story], most: int) -> list[Flake]:
    """Return the tests that are surely flaky, the worst first, then those that may be.

    Args:
        stories: The tests.
        most: So many of them.
    """
    found = [_flake(one) for one in stories if one.flaky or one.flips >= SUSPECT_FLIPS]
    found.sort(key=lambda one: (not one.proven, -one.low, -one.rate, one.story.suite, one.story.id))
    return found[:most]


def _flake(story: Story) -> Flake:
    low, high = exact_interval(story.flaky, story.commits)
    rate = story.flaky / story.commits
    return Flake(story=story, rate=rate, low=low, high=high, proven=story.flaky > 0)


def kept(quarantine: Sequence[Quarantine], stories: Sequence[Story], now: float) -> list[Kept]:
    """Say how each quarantine stands, what is over first.

    Args:
        quarantine: As it is written.
        stories: The tests there are.
        now: Seconds since the Unix epoch.
    """
    found = []
    for one in quarantine:
        mine = [story for story in stories if covers(one, story.id)]
        found.append(
            Kept(
                quarantine=one,
                days_left=math.floor((ends_at(one) - now) / DAY_SECONDS),
                tests=tuple(story.id for story in mine[:20]),
                calm=bool(mine) and all(not one.flaky and one.state == "passed" for one in mine),
            )
        )
    return sorted(found, key=lambda one: (one.days_left, one.quarantine.test))


def suggestion(
    flakes: Sequence[Flake], quarantine: Sequence[Quarantine], owner: str, now: float
) -> str:
    """Write a quarantine for proven flakes that have none, as YAML to paste into the Pipeline's spec.

    Args:
        flakes: The tests.
        quarantine: What there is.
        owner: Who will mend them.
        now: Seconds since the Unix epoch.

    Returns:
        Nothing where nothing is to be quarantined.
    """
    live = [one for one in quarantine if now < ends_at(one)]
    fresh = [
        one
        for one in flakes
        if one.proven and not any(covers(known, one.story.id) for known in live)
    ]
    if not fresh:
        return ""
    until = datetime.fromtimestamp(now, UTC) + timedelta(days=QUARANTINE_DAYS)
    lines = ["quarantine:"]
    for one in fresh:
        story = one.story
        reason = f"passed and failed at {story.flaky} of {story.commits} commits"
        lines += [
            f"  - test: {_quoted(story.id)}",
            f"    owner: {_quoted(owner)}",
            f'    until: "{until:%Y-%m-%d}"',
            f"    reason: {_quoted(reason)}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A ``*`` of an id would be read as a pattern, which fits the id itself, too.
    return json.dumps(text)
