"""Checks of a running installation: asked from here and from a worker's process, counted, told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from api_world import DEADLINE_SECONDS, DEFINITIONS, World

CHECKS = """\
---
apiVersion: andon/v1
kind: Check
metadata: {name: front}
spec:
  service: shop
  environment: dev
  everySeconds: 5
  timeoutSeconds: 2
  http: {url: /, expect: {contains: [ok]}}
---
apiVersion: andon/v1
kind: Check
metadata: {name: closed}
spec:
  everySeconds: 5
  timeoutSeconds: 2
  workers: [here, tokyo]
  tcp: {address: "127.0.0.1:1"}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("checks")
    world = World(root)
    try:
        (world.repository / "andon.yaml").write_text(DEFINITIONS + CHECKS)
        world.commit("two checks")
        world.up()
        world.andon.ship(repository=str(world.repository), until="dev")
        yield world
    finally:
        world.close()


def andon(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "ANDON_STATE": str(world.state)}
    command = [sys.executable, "-m", "andon", *words]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )


def standing(world: World, name: str) -> str:
    return {one["name"]: one["standing"] for one in world.andon.checks_list()}.get(name, "")


def test_check_of_a_service_passes_once_it_is_deployed(world: World):
    world.until(lambda: standing(world, "front") == "passing")
    asked = andon(world, "checks", "ask", "front", "--json")
    assert asked.returncode == 0
    assert json.loads(asked.stdout)["passed"]


def test_check_that_fails_from_here_and_elsewhere_is_told_by_both(world: World, tmp_path):
    token = world.andon.tokens_make(name="far", grants=[{"role": "worker"}])["secret"]
    command = [sys.executable, "-m", "andon", "worker", "--server", world.url, "--name", "tokyo"]
    command += ["--state", str(tmp_path / "tokyo"), "--allow-internal", "127.0.0.0/8"]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            command, env={**os.environ, "ANDON_TOKEN": token}, stdout=log, stderr=log
        )
    try:

        def views():
            (closed,) = (one for one in world.andon.checks_list() if one["name"] == "closed")
            return {one["worker"]: one["standing"] for one in closed["views"]}

        world.until(lambda: views() == {"here": "failing", "tokyo": "failing"})
    finally:
        worker.terminate()
        worker.wait(DEADLINE_SECONDS)
    shown = andon(world, "checks", "show", "closed")
    assert "closed failing" in shown.stdout
    assert "from tokyo: failing" in shown.stdout
    assert "Connection refused" in shown.stdout
    assert andon(world, "checks", "ask", "closed").returncode == 8
