from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.alerts import AlertsSpec

sys.path.insert(0, str(Path(__file__).parent))

from alert_room import Room


@pytest.fixture
def open_room(tmp_path: Path) -> Iterator[Any]:
    opened = []

    def make(**settings: Any) -> Room:
        opened.append(Room(tmp_path, AlertsSpec(**settings)))
        return opened[-1]

    yield make
    for room in opened:
        room.world.close()


@pytest.fixture
def room(open_room: Any) -> Room:
    return open_room()
