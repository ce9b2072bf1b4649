"""Plays scenarios in processes of their own, one for each core: a play keeps one busy."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import get_args

import psycopg
from late import Unanswered, by_workers
from msgspec import Struct
from receiver import Receiver
from replay import Mortal, Replayed, Stage, Undisturbed, replay

from andon.api.v1.actions import AnyAction
from andon.store import open_store
from andon.testing.scenario import controllers, load

FOLDER = Path(__file__).parents[1] / "scenario"
CERTIFY = os.environ.get("ANDON_CERTIFY") == "1"
"""Kill at every point of every scenario on both engines: most of an hour."""
STORIES = sorted(
    story for story in FOLDER.glob("*.yaml") if CERTIFY or load(story).get("crash", True)
)
"""Those that say `crash: false` come to no point that others do not come to."""
MORE_SHARE = 0.03
"""Of the points of one name, how often a later one is tried besides the first."""
MEMORY = Path("/dev/shm")
"""Databases lie in memory where there is such a folder: a kill of a process loses nothing there."""


def labels() -> set[str]:
    """Return the names of points that must have been passed, whatever the scenarios are.

    The turn that an outcome leads to is left out of them: ``commit outcome RunJob``.
    """
    names = [type.__name__ for type in get_args(AnyAction)]
    works = ["start", "claim", "take", "retake", "ship"]
    works += [f"turn {one.kind}" for one in controllers()]
    works += [f"outcome {name}" for name in names]
    inside = {f"{where} {work}" for where in ("inside", "commit") for work in works}
    return inside | {f"{when} {name}" for when in ("before", "after") for name in names}


def without_turn(point: str) -> str:
    """Return a point's name without the turn that an outcome leads to."""
    return point.partition(" + ")[0]


def is_inside(point: str) -> bool:
    """Say whether nothing is committed there: as if the kill had come before the work was begun."""
    return point.startswith("inside ")


class Choice(Struct, frozen=True):
    """Chooses where a play goes wrong.

    Args:
        mortal: How it goes wrong.
        names: The first point of each of these names; empty: of any name.
        every: All of them, not only the first of each name and for some names a later one, and none
            inside a transaction.
    """

    mortal: type[Mortal] = Mortal
    names: tuple[str, ...] = ()
    every: bool = CERTIFY

    def __call__(self, points: list[str]) -> set[int]:
        allowed = set(range(len(points)))
        if self.mortal is not Mortal:
            allowed = by_workers(points, commits_only=self.mortal is Unanswered)
        if self.every and not self.names:
            return allowed
        by_name: dict[str, list[int]] = {}
        for number in sorted(allowed):
            by_name.setdefault(points[number], []).append(number)
        chance = random.Random(len(points))
        if self.names:
            return {by_name[name][0] for name in self.names}
        by_name = {name: some for name, some in by_name.items() if not is_inside(name)}
        more = {chance.choice(one) for one in by_name.values() if chance.random() < MORE_SHARE}
        return more | {one[0] for one in by_name.values()}


def cover(passed: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Share names of points out among few stories that come by them soon.

    Args:
        passed: Points by story, in order.
    """
    firsts = {story: _firsts(points) for story, points in passed.items()}
    left = {name for some in firsts.values() for name in some}
    shares: dict[str, tuple[str, ...]] = {}

    def worth(story: str) -> tuple[float, str]:
        news = [number for name, number in firsts[story].items() if name in left]
        return len(news) / (200 + max(news, default=0)), story

    while left:
        story = max(passed, key=worth)
        shares[story] = tuple(sorted(left & set(firsts[story])))
        left -= set(shares[story])
    return shares


def _firsts(points: Sequence[str]) -> dict[str, int]:
    """Return where each name comes first."""
    return {name: number for number, name in reversed(list(enumerate(points)))}


class Company:
    """As many processes as there are cores; they end with it."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(min(4, os.cpu_count() or 1), mp_context=spawn)

    def __enter__(self) -> Company:
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def replay(self, story: Path, choice: Choice, postgres: str = "") -> Future[Replayed]:
        """Have a scenario replayed with kills.

        Args:
            story: The scenario.
            choice: Where and how it goes wrong.
            postgres: Address of an empty schema; empty: SQLite.
        """
        return self._pool.submit(_replay, story, choice, postgres)

    def count_points(self, stories: Iterable[Path]) -> Counter[str]:
        """Return how often each point is passed when nobody is killed."""
        total: Counter[str] = Counter()
        for points in self._pool.map(_points, stories):
            total.update(points)
        return total


def _replay(story: Path, choice: Choice, postgres: str) -> Replayed:
    with _stage(story, postgres) as stage:
        return replay(stage, choice, choice.mortal)


def _points(story: Path) -> Counter[str]:
    with _stage(story, "") as stage:
        play = Undisturbed(stage)
        play.run()
    return Counter(play.points + play.retakes)


@contextmanager
def _stage(story: Path, postgres: str) -> Iterator[Stage]:
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="andon-crash-", dir=where) as folder:
        receiver = Receiver()

        def file() -> str:
            return f"{folder}/{next(numbers)}.db"

        def schema() -> str:
            _empty(postgres)
            return postgres

        try:
            yield Stage(story, file, schema if postgres else file, receiver)
        finally:
            receiver.close()


def _empty(postgres: str) -> None:
    """Forget the play before: much faster than a new schema."""
    open_store(postgres, source="/andon/test").close()
    with psycopg.connect(postgres, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            " AND tablename <> 'schema_version'"
        ).fetchall()
        for (table,) in rows:
            connection.execute(f'DELETE FROM "{table}"')
