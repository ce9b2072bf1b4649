"""Whoever is killed, and wherever, the story ends the same.

Every scenario of tests/scenario is played undisturbed, which numbers its points: inside each
transaction (all written, nothing committed), after each commit (durable, but nobody knows yet), before
and after each effect. Then it is played again and again and the control plane is killed there; another
starts over what was stored. What is stored and what is in the world must come to be the same as
undisturbed, exactly and at the same moment (picture.py says what is left out, and why); a play that
does not come back is played to its end, and must end the same but for times. Webhooks go to a real
HTTP server, which counts by idempotency key. The ledger of every play is verified.

An outcome and the turn it leads to are one transaction, as in production, and one name: ``commit outcome
SetWeights + turn Run:rollout``; outcomes that come while others of their object are under way are
without a turn.

What is executed where:

- ``make test``, SQLite: in every scenario that does not say ``crash: false`` the first point of each name
  after a commit and around an effect, and for few names a later one. Over all scenarios, once for each name: inside a transaction;
  a worker that is stopped while another takes over and that comes back late (its writes and effects
  must be refused); a commit whose answer is lost.
- ``make test``, Postgres: over all scenarios each of these once for each name, in the scenarios that
  come there soonest. The undisturbed play is on SQLite: both engines must leave the same.
- ``make certify`` (ANDON_CERTIFY=1): every point of every scenario, on both engines, in all three ways.

``pytest tests/crash --list-points`` shows the names of all points, and how often each is passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from company import CERTIFY, STORIES, Choice, Company, cover, is_inside, labels, without_turn
from late import Stopped, Unanswered, by_workers
from replay import Mortal, Replayed

from andon.testing.postgres import programs, running_postgres

WAYS = [Mortal, Stopped, Unanswered]
BY_NAME = {story.stem: story for story in STORIES}

Replays = dict[str, Future[Replayed]]


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    with Company() as company:
        yield company


@pytest.fixture(scope="module")
def replays(company: Company, request: pytest.FixtureRequest) -> Replays:
    """Replays on SQLite of the scenarios that were asked for, all begun at once."""
    asked = [getattr(one, "callspec", None) for one in request.session.items]
    chosen = {one.params["story"] for one in asked if one and "story" in one.params}
    return {story.stem: company.replay(story, Choice()) for story in STORIES if story in chosen}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Callable[[], str]]:
    where = programs()
    if where is None:
        pytest.skip("no Postgres: install the dev extra")
    with running_postgres(where) as server:
        yield server.new_schema


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_killed_at_any_point_a_story_ends_the_same(story: Path, replays: Replays):
    replayed = replays[story.stem].result()
    assert not replayed.problems, "\n".join(replayed.problems)
    assert {one for one in replayed.points if CERTIFY or not is_inside(one)} == set(replayed.kills)


def test_no_point_there_is_is_left_out(replays: Replays):
    if set(replays) == set(BY_NAME):
        passed = {without_turn(point) for one in replays.values() for point in one.result().points}
        assert labels() - passed == set(), "no scenario comes by these"


def test_killed_inside_a_transaction_a_story_ends_the_same(company: Company, replays: Replays):
    inside = {
        name: [point for point in one.result().points if is_inside(point)]
        for name, one in replays.items()
    }
    _expect_same(company, inside, Mortal, lambda: "", every=False)


@pytest.mark.parametrize("way", WAYS[1:], ids=lambda way: way.__name__)
def test_a_worker_that_lives_on_changes_nothing_either(
    company: Company, replays: Replays, way: type[Mortal]
):
    _expect_same(company, _passed(replays, way), way, lambda: "")


@pytest.mark.postgres
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_on_postgres_too(
    company: Company, replays: Replays, way: type[Mortal], postgres: Callable[[], str]
):
    _expect_same(company, _passed(replays, way), way, postgres)


def _expect_same(
    company: Company,
    passed: dict[str, list[str]],
    way: type[Mortal],
    database: Callable[[], str],
    *,
    every: bool = CERTIFY,
) -> None:
    """Have each name of a point go wrong in one of the scenarios, or every point in each.

    Args:
        company: Who plays.
        passed: Points by scenario.
        way: How it goes wrong.
        database: Makes an empty one.
        every: Every point.
    """
    shares = dict.fromkeys(passed, ()) if every else cover(passed)
    begun = [
        company.replay(BY_NAME[name], Choice(mortal=way, names=names), database())
        for name, names in shares.items()
    ]
    done = [one.result() for one in begun]
    problems = [problem for one in done for problem in one.problems]
    assert not problems, "\n".join(problems)
    assert {point for one in done for point in one.kills} == set().union(*passed.values())


def _passed(replays: Replays, way: type[Mortal]) -> dict[str, list[str]]:
    """Return the points by scenario at which it can go wrong in a way."""
    passed = {}
    for name, one in replays.items():
        points = passed[name] = one.result().points
        if way is not Mortal:
            some = by_workers(points, commits_only=way is Unanswered)
            passed[name] = [points[number] for number in sorted(some)]
    return passed
