"""Plays a scenario again and again, killed at every point, until each point was a grave once.

A play is deterministic, so points have numbers. What was kept of a killed play is compared with the
undisturbed play at the end of every step: once everything that is stored and everything in the world
is the same as it was there at the same moment, the rest would be the same too, and the next kill may
follow in the same play; after the last one the play ends there. A play that never comes back to the
undisturbed one is played to its end, and the ends are compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from msgspec import Struct, field
from msgspec.structs import replace
from picture import Picture, differences, digest, exact, timeless
from receiver import Receiver, Told

from andon.adapters.webhook import WebhookNotifier
from andon.api.v1 import actions
from andon.ports.store import Tx
from andon.store import verify_ledger
from andon.store.database import Database
from andon.testing.scenario import LONGEST_WAIT_SECONDS, Scenario, load
from andon.testing.simulated_line import SimulatedLine
from andon.testing.world import World

Item = Mapping[str, Any]
T = TypeVar("T")

SETTLING_SECONDS = 30
"""So long a play goes on after its text, until nothing of its last moment is left to do."""
SEEN = {"commit approve", "commit rollback", "commit secret", "commit rotate", "commit remove"}
"""What people who got no answer must not repeat without a look at what is there: it would be done
twice, as they asked. All else they do is repeated here, and must come to the same."""
IDLE_PICTURES = 2
"""Until so many moments after a kill in which nothing is left to do it is looked whether all is as if
there had been none."""


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


class Enough(BaseException):
    """The play has come back to the undisturbed one, and nobody is to be killed any more."""


def _nothing(*_: object) -> None:
    pass


class MortalLine(SimulatedLine):
    """A line whose points and rests are watched."""

    task_seconds = 0.0
    """Who takes over need not wait, so that it does all at the same moment."""
    verb = ""
    """What a person does."""
    is_unanswered = False
    """Whether the answer to the present transaction is lost."""
    is_late = False
    """Whether another has taken over: once it asks for new work it is a worker like any other."""
    at: Callable[[str], None] = staticmethod(_nothing)
    rests: Callable[[bool], None] = staticmethod(_nothing)

    def passing(self, point: str) -> None:
        self.at(point.replace(" command", f" {self.verb}"))

    def tx(self, fn: Callable[[Tx], T], work: str | Callable[[T], str] = "command") -> T:
        if self.is_late and work in ("claim", "take"):
            self.rests(True)
        result = super().tx(fn, work)
        if self.is_unanswered:
            self.is_unanswered = False
            return super().tx(fn, work)
        return result

    def look(self, fn: Callable[[Tx], T]) -> T:
        """Read at once: to wait for the store's threads would be half of a play."""
        return cast(Database, self.store)._read(fn)

    def step(self, only: Collection[str] | None = None) -> bool:
        found = super().step(only)
        self.rests(found)
        return found


class TellingWorld(World):
    """A world whose webhooks are real: every repetition is told again."""

    address = ""

    def perform(self, action: actions.Action, key: str, token: int) -> actions.Outcome:
        if isinstance(action, actions.Notify):
            self._answered.pop(key, None)
        return super().perform(action, key, token)

    def _notify(self, action: actions.Notify, key: str) -> actions.Done:
        if self._fault("notify", action.url):
            return super()._notify(action, key)
        intent = actions.Intent(key=key, epoch=0)
        asyncio.run(WebhookNotifier().notify(replace(action, url=self.address), intent))
        known = any(one["key"] == key for one in self.told)
        return actions.Done() if known else super()._notify(action, key)


class Stage(Struct):
    """Where a scenario is played.

    Args:
        story: Its text.
        undisturbed: Makes an empty database for plays in which nobody is killed; its address.
        database: The same for the others: on whichever engine, they must come to the same.
        receiver: Of webhooks.
    """

    story: Path
    undisturbed: Callable[[], str]
    database: Callable[[], str]
    receiver: Receiver
    plays: int = 0
    script: Item = {}

    def __post_init__(self) -> None:
        self.script = load(self.story)

    def scene(self, database: str) -> tuple[Scenario, MortalLine, Told]:
        """Set up a play.

        Args:
            database: An empty one.
        """
        self.plays += 1
        path = f"/{self.story.stem}/{self.plays}"
        scenario = Scenario(self.script, self.story.parent, database, MortalLine, TellingWorld)
        line, world = scenario.line, scenario.line.world
        assert isinstance(line, MortalLine)
        assert isinstance(world, TellingWorld)
        world.address = self.receiver.url + path
        return scenario, line, self.receiver.told[path]


class Play:
    """One play from beginning to end.

    Args:
        stage: Where.
    """

    def __init__(self, stage: Stage) -> None:
        self.name = stage.story.stem
        self.scenario, self.line, self.told = stage.scene(self._database(stage))
        self.line.at, self.line.rests = self._at, self._rest
        self.problems: list[str] = []

    def _database(self, stage: Stage) -> str:
        return stage.undisturbed()

    def run(self) -> None:
        """Play; what is wrong stands in ``problems`` then."""
        try:
            play = [{"start": True}, *self.scenario.script["play"], {"wait": SETTLING_SECONDS}]
            for number, item in enumerate(play):
                self._item = number
                self._carry_out(item)
            self._end(exact(self.scenario, self.told))
        except Enough:
            pass
        finally:
            verified = self.line.look(verify_ledger)
            self.problems += [f"does not verify: {one}" for one in verified.findings]
            self.scenario.close()

    def _carry_out(self, item: Item) -> None:
        """Do one item of the play; who was killed in it is started again, and does what is left."""
        began, documents = self.line.clock.now(), self.scenario.documents
        left = item
        while True:
            try:
                self._act(left)
                return
            except Killed as killed:
                self._go_on(killed)
                # Nobody acts upon half of a step: what belongs to it is finished first, and no more.
                if "wait" in item:
                    self.line.step(self.line.performing)
                if str(killed) in SEEN:
                    return
                self.scenario.documents = documents
                left = _left(item, self.line.clock.now() - began)

    def _go_on(self, killed: Killed) -> None:
        self.line.restart()

    def _act(self, item: Item) -> None:
        if "start" in item:
            self.line.start()
            return
        self.line.verb = next(iter(item))
        found = self.scenario.perform(item)
        if not self.is_astray:
            self.problems += found

    is_astray = False
    """Whether it is another play than the undisturbed one now."""

    def _at(self, point: str) -> None:
        """Pass a point."""

    def _rest(self, was_busy: bool) -> None:
        """Everything that was due is done."""

    def _end(self, picture: Picture) -> None:
        """Judge the end."""

    def _moment(self) -> str:
        line = self.line
        under_way = sorted((at, pending.row.step) for at, pending in line._under_way)
        more = (self._item, line.clock.now(), under_way, hash(line.world._random.getstate()))
        return digest(exact(self.scenario, self.told), more)


class Undisturbed(Play):
    """Nobody dies: tells every point, and the end."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.points: list[str] = []
        """In order, but for those of ``retakes``."""
        self.retakes: list[str] = []
        """Points of drawing a newer token. Which of two turns comes first decides whether one is
        needed, and may differ after a kill: they have numbers of their own."""
        self.end: Picture = {}

    def _at(self, point: str) -> None:
        (self.retakes if point.endswith(" retake") else self.points).append(point)

    def _end(self, picture: Picture) -> None:
        self.end = picture


class Pictured(Play):
    """Nobody dies again: pictures moments in which somebody who was killed may be as good as new.

    Args:
        stage: Where.
        first: The play before.
        todo: Points somebody will be killed at.
    """

    def __init__(self, stage: Stage, first: Undisturbed, todo: set[int]) -> None:
        super().__init__(stage)
        self._first = first
        self._todo = todo
        self._passed = 0
        self._pictures = 0
        self.moments: dict[str, int] = {}
        """How many points were passed, by the digest of the moment."""

    def _at(self, point: str) -> None:
        if point.endswith(" retake"):
            return
        if self._passed in self._todo:
            self._pictures = IDLE_PICTURES
        self._passed += 1

    def _rest(self, was_busy: bool) -> None:
        if self._pictures:
            self.moments.setdefault(self._moment(), self._passed)
            self._pictures -= not was_busy
        elif not any(number >= self._passed for number in self._todo):
            raise Enough

    def _end(self, picture: Picture) -> None:
        self.problems += differences(picture, self._first.end)


class Mortal(Play):
    """Somebody dies at each of some points that this play comes by.

    Args:
        stage: Where.
        first: The undisturbed play.
        moments: Its moments.
        todo: Numbers of points to be killed at; those that were are taken away.
        retake: Number of the one point of drawing a newer token to be killed at.
    """

    def __init__(
        self,
        stage: Stage,
        first: Undisturbed,
        moments: dict[str, int],
        todo: set[int],
        retake: int = -1,
    ) -> None:
        super().__init__(stage)
        self._first = first
        self._moments = moments
        self._todo = todo
        self._retake = retake
        self._passed = 0
        self._left_at = -1
        """The point where this play left the undisturbed one; -1 while it has not."""
        self.kills: list[str] = []

    def _database(self, stage: Stage) -> str:
        return stage.database()

    @property
    def is_astray(self) -> bool:
        """Say whether it is another play than the undisturbed one now."""
        return self._left_at >= 0

    def _at(self, point: str) -> None:
        if point.endswith(" retake"):
            self._retake -= 1
            if self._retake == -1:
                self._kill(point)
        elif not self.is_astray:
            self._at_number(self._passed, point)
            self._passed += 1

    def _at_number(self, number: int, point: str) -> None:
        if point != self._first.points[number]:
            # What of one instant comes first may differ, until all of it is done.
            self._left_at = number
        elif number in self._todo:
            self._todo.discard(number)
            self._kill(point)

    def _kill(self, point: str) -> None:
        self._left_at = self._passed
        self.kills.append(point)
        raise Killed(point)

    def _rest(self, was_busy: bool) -> None:
        if not self.is_astray:
            return
        passed = self._moments.get(self._moment(), -1)
        if passed >= self._left_at:
            self._passed, self._left_at = passed, -1
            if not any(number >= passed for number in self._todo):
                raise Enough

    def _end(self, picture: Picture) -> None:
        there = self._first.end
        if self.is_astray:
            picture, there = timeless(picture), timeless(there)
        self.problems += differences(picture, there)


def _left(item: Item, seconds: float) -> Item:
    """Return what is left of an item after so much time."""
    if "down" in item:
        return {"down": item["down"] - seconds}
    wait = item.get("wait")
    if wait is None:
        return item
    if isinstance(wait, (int, float)):
        return {"wait": wait - seconds}
    return {**item, "within": item.get("within", LONGEST_WAIT_SECONDS) - seconds}


class Replayed(Struct):
    """What came of a scenario.

    Args:
        points: Points of the undisturbed play.
        kills: Points where somebody was killed.
        plays: How often it was played.
        strays: Plays that never came back to the undisturbed one, but ended like it.
        problems: What was not as it must be.
    """

    points: list[str]
    kills: list[str] = field(default_factory=list)
    plays: int = 0
    strays: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, play: Mortal) -> None:
        """Play, and add what came of it."""
        play.run()
        self.kills += play.kills
        last = f"{play.name}, killed at {play.kills[-1]!r}, the last of {play.kills}"
        if play.is_astray:
            self.strays.append(last)
        self.problems += [f"{last}: {problem[:3000]}" for problem in play.problems[:99]]


def replay(
    stage: Stage, choose: Callable[[list[str]], set[int]], mortal: type[Mortal] = Mortal
) -> Replayed:
    """Play a scenario undisturbed, and then until somebody was killed at each chosen point.

    Args:
        stage: Where.
        choose: Numbers of points, from all points.
        mortal: How plays go wrong.
    """
    first = Undisturbed(stage)
    first.run()
    result = Replayed(points=first.points + first.retakes, problems=first.problems)
    chosen = choose(result.points)
    todo = {number for number in chosen if number < len(first.points)}
    pictured = Pictured(stage, first, todo)
    pictured.run()
    result.problems += pictured.problems
    for number in sorted(chosen - todo):
        retake = number - len(first.points)
        result.note(mortal(stage, first, pictured.moments, set(), retake))
    while todo and not result.problems:
        before = len(todo)
        result.note(mortal(stage, first, pictured.moments, todo))
        assert len(todo) < before, f"nobody died at {sorted(todo)}"
    result.plays = stage.plays
    return result
