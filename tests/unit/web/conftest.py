"""A web server on a real Unix socket and a real loopback port, over a line that stands still."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from andon.ports.offices import Offices
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine
from andon.testing.serving import served as serve_for_a_while

sys.path.insert(0, str(Path(__file__).parent))


class Served(NamedTuple):
    line: StillLine
    state: Path
    port: int


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    line = StillLine()
    offices = Offices(line=line, access=FixedDoor({"guest": ADMINISTRATOR}))
    async with serve_for_a_while(offices, tmp_path) as address:
        yield Served(line, tmp_path, int(address.rpartition(":")[2]))
