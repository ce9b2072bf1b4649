"""The same question in the same moment is answered once; what was written is read at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgi import ask

from andon.api.v1.access import Grant, Identity
from andon.kernel.errors import Unavailable
from andon.ports.offices import Offices
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.web.app import API, create_app
from andon.web.moments import Kept, Moments


class Line(StillLine):
    """Its moment ends when it is told."""

    moment = 1
    looked = 0

    async def status(self, *, environment: str = "") -> Any:
        self.looked += 1
        return await super().status(environment=environment)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def app(line: Line) -> Any:
    narrow = Identity(name="person:ben", grants=(Grant(role="viewer", environment="dev"),))
    return create_app(Offices(line=line, access=FixedDoor({"all": ADMINISTRATOR, "dev": narrow})))


async def status(app: Any, who: str, query: str = "") -> Any:
    said = await ask(app, "GET", f"{API}/status{query}", authorization=f"Bearer {who}")
    assert said.status == 200
    return said.json


async def test_who_asks_at_the_same_time_shares_one_answer(app: Any, line: Line) -> None:
    answers = await asyncio.gather(*(status(app, "all") for _ in range(20)))
    assert line.looked == 1
    assert all(one == answers[0] for one in answers)
    await status(app, "all", "?environment=dev")
    assert line.looked == 2


async def test_a_write_ends_the_moment(app: Any, line: Line) -> None:
    await status(app, "all")
    line.moment += 1
    await status(app, "all")
    assert line.looked == 2


async def test_who_sees_less_gets_an_answer_of_their_own(app: Any, line: Line) -> None:
    whole, part = await status(app, "all"), await status(app, "dev")
    assert whole["environments"] == ["dev", "prod"]
    assert part["environments"] == ["dev"]
    assert await status(app, "all") == whole


async def test_a_question_may_hold_bytes_that_are_no_text(app: Any) -> None:
    said = await ask(app, "GET", f"{API}/objects/Run?x=\xff", authorization="Bearer all")
    assert said.status == 200


async def test_a_failure_is_nobody_elses() -> None:
    moments, tries = Moments(Line()), []

    async def fail_first() -> Kept:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("the first time")
        return Kept(b"well", {})

    with pytest.raises(Unavailable):
        await moments.answer("?", fail_first)
    assert (await moments.answer("?", fail_first)).body == b"well"


async def test_many_questions_do_not_fill_the_memory() -> None:
    moments = Moments(Line())

    async def make() -> Kept:
        return Kept(b"", {})

    for number in range(2000):
        await moments.answer(str(number), make)
    assert len(moments._answers) <= 512
