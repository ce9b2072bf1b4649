"""Lets the tests share a browser, and somebody who is logged in with it.

A module says whom it shows by a fixture ``url``, the address of a server in ``folder``.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from chromium import PATIENCE, browse

Look = Callable[..., Awaitable[str]]
Draw = Callable[[str, str, int, int], Awaitable[tuple[int, int]]]


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(request.path.stem)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def look(url: str, folder: Path) -> Look:
    """Return what shows a page to somebody who is logged in."""
    profile = folder / "profile"
    await asyncio.to_thread(
        browse, profile, "--virtual-time-budget=500", "--dump-dom", f"{url}/#code=guest"
    )

    async def show(where: str, *options: str) -> str:
        given = options or ("--dump-dom",)
        return await asyncio.to_thread(browse, profile, PATIENCE, *given, f"{url}/{where}")

    return show


@pytest.fixture(scope="module")
def draw(look: Look, folder: Path) -> Draw:
    """Return what draws a page on a screen of a size, and says how large the picture became."""
    more = os.environ.get("ANDON_BROWSER_FLAGS", "").split()
    pictures = Path(os.environ.get("ANDON_PICTURES", folder))

    async def picture(where: str, name: str, width: int, height: int) -> tuple[int, int]:
        file = pictures / f"{name}-{width}.png"
        await look(where, f"--window-size={width},{height}", f"--screenshot={file}", *more)
        drawn: tuple[int, int] = struct.unpack(">II", file.read_bytes()[16:24])
        return drawn

    return picture
