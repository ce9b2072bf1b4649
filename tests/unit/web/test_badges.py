"""Badges: who sees them, and that nothing of a request is in them."""

from __future__ import annotations

from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest
from asgi import ask

from andon.api.v1.access import Grant, Identity
from andon.ports.offices import Offices
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.app import create_app
from andon.web.badges import badge

GUESTS = {
    "viewer": Identity(name="person:ann", grants=(Grant(role="viewer", environment="dev"),)),
    "worker": Identity(name="service:w", grants=(Grant(role="worker"),)),
}


class Standing:
    """Knows how two repositories stand."""

    states: ClassVar[dict[str, str]] = {"shop": "passing", "shop/topic/one": "failing"}

    async def state_of(self, name: str) -> str:
        return self.states.get(name, "unknown")


def app_of(*, public: bool) -> Any:
    builds: Any = Standing()
    line: Any = StillLine(endless=False)
    door = FixedDoor(guests=GUESTS)
    return create_app(Offices(line=line, access=door, builds=builds, public_badges=public))


@pytest.mark.parametrize("state", ["passing", "failing", "running", "cancelled", "unknown"])
def test_a_badge_is_a_picture_that_says_its_state_in_words(state: Any) -> None:
    root = ElementTree.fromstring(badge(state))
    assert root.attrib["aria-label"] == f"build: {state}"
    texts = [one.text or "" for one in root.iter() if one.tag.endswith("text")]
    assert texts[0] == "build"
    assert texts[1].endswith(state)


async def test_a_badge_is_for_those_who_may_view_something() -> None:
    app = app_of(public=False)
    assert (await ask(app, "GET", "/badge/shop.svg")).status == 401
    assert (await ask(app, "GET", "/badge/shop.svg", authorization="Bearer worker")).status == 401
    assert (await ask(app, "GET", "/badge/shop.svg", authorization="Bearer wrong")).status == 401
    seen = await ask(app, "GET", "/badge/shop.svg", authorization="Bearer viewer")
    assert (seen.status, b"passing" in seen.body) == (200, True)
    assert seen.headers["cross-origin-resource-policy"] == "same-origin"


async def test_public_badges_are_for_everybody_and_for_pages_of_others() -> None:
    app = app_of(public=True)
    seen = await ask(app, "GET", "/badge/shop/topic/one.svg")
    assert (seen.status, b"failing" in seen.body) == (200, True)
    assert seen.headers["content-type"] == "image/svg+xml"
    assert seen.headers["cross-origin-resource-policy"] == "cross-origin"
    assert seen.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (await ask(app, "GET", "/api/v1/repositories")).status == 401


async def test_who_has_it_already_is_told_so() -> None:
    app = app_of(public=True)
    first = await ask(app, "GET", "/badge/shop.svg")
    again = await ask(app, "GET", "/badge/shop.svg", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    other = await ask(app, "GET", "/badge/none.svg", if_none_match=first.headers["etag"])
    assert other.status == 200


@pytest.mark.parametrize(
    "name",
    [
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "none",
        "%00",
        "a" * 1000,
        "..%2f..%2fetc",
        '"><text>x</text>',
    ],
)
async def test_nothing_of_the_request_is_in_the_picture(name: str) -> None:
    seen = await ask(app_of(public=True), "GET", f"/badge/{name}.svg")
    assert (seen.status, seen.body) == (200, badge("unknown"))
