"""The page in a real browser, over a real server and a line that stands still."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import CHROMIUM, PATIENCE, browse

from andon.ports.offices import Offices
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.serving import served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    offices = Offices(line=StillLine(endless=False), access=FixedDoor({"guest": ADMINISTRATOR}))
    async with served(offices, tmp_path) as address:
        yield address


async def test_the_page_shows_the_line_and_its_holds_as_text(url: str, tmp_path: Path) -> None:
    dom = await asyncio.to_thread(
        browse,
        tmp_path / "profile",
        "--virtual-time-budget=3000",
        "--dump-dom",
        f"{url}/#code=guest",
    )
    assert "storefront in prod: rolling out." in dom
    assert 'aria-valuetext="25 %"' in dom
    assert 'aria-valuetext="2.9 of 4.6"' in dom
    assert "serving a1b2c3d4e5f6 with 75 %" in dom
    assert "service orders, environment prod" in dom
    assert '&lt;script&gt;alert("x")&lt;/script&gt;' in dom
    assert "<script>alert" not in dom
    assert "storefront takes 25 % of the traffic in prod" in dom
    assert '<span id="link-text">live</span>' in dom


async def test_a_stranger_sees_the_door_and_nothing_behind_it(url: str, tmp_path: Path) -> None:
    dom = await asyncio.to_thread(
        browse, tmp_path / "profile", "--virtual-time-budget=3000", "--dump-dom", url
    )
    assert "Who is there?" in dom
    assert "storefront" not in dom


async def test_a_code_that_is_used_up_says_so_at_the_door(url: str, tmp_path: Path) -> None:
    dom = await asyncio.to_thread(
        browse, tmp_path / "profile", "--virtual-time-budget=3000", "--dump-dom", f"{url}/#code=old"
    )
    assert "this code lets nobody in" in dom
    assert "storefront" not in dom


async def test_a_command_line_that_asks_is_answered_after_logging_in(
    url: str, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    asked = f"{url}/#pair=BCDF-GHJK"
    stranger = await asyncio.to_thread(browse, profile, PATIENCE, "--dump-dom", asked)
    assert 'waits for you under the code <b id="door-code">BCDF-GHJK</b>' in stranger
    assert "laptop" not in stranger
    await asyncio.to_thread(browse, profile, PATIENCE, "--dump-dom", f"{url}/#code=guest")
    known = await asyncio.to_thread(browse, profile, PATIENCE, "--dump-dom", asked)
    assert '<b id="pairing-code">BCDF-GHJK</b>' in known
    assert "laptop, from 192.0.2.7" in known
    picture = Path(os.environ.get("ANDON_PICTURES", tmp_path)) / "pairing-390.png"
    size = ("--window-size=390,1000", f"--screenshot={picture}")
    await asyncio.to_thread(browse, profile, PATIENCE, *size, asked)
    assert picture.stat().st_size > 10_000


async def test_a_link_to_a_change_says_why_it_is_where_it_is(url: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    await asyncio.to_thread(
        browse, profile, "--virtual-time-budget=3000", "--dump-dom", f"{url}/#code=guest"
    )
    dom = await asyncio.to_thread(
        browse, profile, "--virtual-time-budget=3000", "--dump-dom", f"{url}/#/changes/shop-2"
    )
    assert '<h2 id="subject-title">shop-2</h2>' in dom
    assert "held by a person" in dom


@pytest.mark.parametrize(("width", "height"), [(1280, 1000), (390, 1700)])
async def test_the_page_is_drawn_at_any_width(
    url: str, tmp_path: Path, width: int, height: int
) -> None:
    picture = Path(os.environ.get("ANDON_PICTURES", tmp_path)) / f"page-{width}.png"
    await asyncio.to_thread(
        browse,
        tmp_path / "profile",
        f"--window-size={width},{height}",
        "--virtual-time-budget=3000",
        f"--screenshot={picture}",
        *os.environ.get("ANDON_BROWSER_FLAGS", "").split(),
        f"{url}/#code=guest",
    )
    assert struct.unpack(">II", picture.read_bytes()[16:24]) == (width, height)
