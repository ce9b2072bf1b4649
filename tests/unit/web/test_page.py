"""The page's own files: what is served, and that scripts never make markup of what comes from outside."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest
from asgi import ask

from andon.ports.offices import Offices
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.app import create_app

STATIC = files("andon.web").joinpath("static")
NAMES = sorted(one.name for one in STATIC.iterdir())
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|setHTML"
    r"|createContextualFragment|\beval\(|new Function|\.style\s*="
)
ELSEWHERE = re.compile(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", re.IGNORECASE)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_scripts_set_text_and_never_markup(name: str) -> None:
    assert not MARKUP.search(STATIC.joinpath(name).read_text())


@pytest.mark.parametrize("name", NAMES)
async def test_every_file_is_served_and_asks_for_nothing_elsewhere(name: str) -> None:
    line: Any = StillLine(endless=False)
    app = create_app(Offices(line=line, access=FixedDoor()))
    said = await ask(app, "GET", f"/static/{name}")
    assert said.status == 200
    assert "unsafe" not in said.headers["content-security-policy"]
    text = said.body.decode().replace("http://www.w3.org/2000/svg", "")
    assert not ELSEWHERE.search(text), name
