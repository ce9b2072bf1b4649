"""A full disk of telemetry keeps nobody from starting, shipping or reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from api_world import World

from andon.testing.disks import fill, small_disk

TRACE = "5b8efff798038103d269b633813fc60c"
SPAN = {
    "traceId": TRACE,
    "spanId": "eee19b7ec3c1b174",
    "name": "GET /",
    "startTimeUnixNano": "1780000000000000000",
    "endTimeUnixNano": "1780000001000000000",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.state.mkdir()
    with small_disk(world.state / "telemetry", "16m"):
        try:
            world.up()
            yield world
        finally:
            world.close()


def tell(world: World, note: str) -> requests.Response:
    span = SPAN | {"attributes": [{"key": "note", "value": {"stringValue": note}}]}
    return requests.post(
        f"{world.url}/api/v1/otlp/v1/traces",
        json={"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]},
        headers={"Authorization": f"Bearer {world.token}"},
        timeout=90,
    )


def ships(world: World) -> bool:
    world.commit("another")
    change = world.andon.ship(repository=str(world.repository), until="@build")["change"]
    return world.until(lambda: world.andon.changes_show(change)["phase"] == "Succeeded")


def test_a_full_disk_of_telemetry_harms_nothing_else(world: World) -> None:
    assert tell(world, "while there is room").status_code == 200
    ballast = fill(world.state / "telemetry")
    noise = "".join(f"{number:x}" for number in range(900))
    world.until(lambda: tell(world, noise).status_code == 503)
    assert world.andon.traces_show(TRACE)["spans"], "what is there is readable"
    assert ships(world)
    world.kill()
    world.up()
    assert "telemetry cannot be opened" in world.log
    assert ships(world)
    assert tell(world, "elsewhere for now").status_code == 200
    ballast.unlink()
    world.kill()
    world.up()
    assert "telemetry cannot be opened" not in world.log
    assert world.andon.traces_show(TRACE)["spans"][0]["attributes"]["note"] != "elsewhere for now"
