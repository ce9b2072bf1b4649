"""What is seen of a build that a real control plane runs: its log as it grows, its path, its badge."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from api_world import DEADLINE_SECONDS, DEFINITIONS, World

JOBS = """\
    build: {run: "true"}
    unit:
      needs: [build]
      steps:
        - {name: first, run: "for n in $(seq 2000); do echo first line $n é; done"}
        - name: second
          run: |
            printf '\\033[31mred\\033[0m \\033]0;title\\007 half a line'
            until [ -f go ]; do sleep 0.05; done
            echo ', whole'
"""


def command(world: World, *words: str) -> list[str]:
    return [sys.executable, "-m", "andon", *words, "--state", str(world.state)]


def andon(world: World, *words: str) -> str:
    done = subprocess.run(
        command(world, *words), capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("builds"))
    try:
        text = DEFINITIONS.replace('    build: {run: "true"}\n', JOBS)
        (world.repository / "andon.yaml").write_text(text)
        world.commit("steps")
        (world.state.parent / "installation.yaml").write_text(
            "apiVersion: andon/v1\nkind: Installation\nmetadata: {name: a}\n"
            "spec: {badges: public}\n"
        )
        world.up(0, "--config", str(world.state.parent / "installation.yaml"))
        yield world
    finally:
        world.close()


def graph(world: World, run: str) -> Any:
    return world.andon.runs_graph(run)


def state(world: World, run: str, job: str) -> str:
    jobs = graph(world, run)["jobs"]  # None before the first turn of the Run.
    return next((one["state"] for one in jobs if one["name"] == job), "")


def test_a_log_is_followed_over_the_death_of_the_control_plane(world: World) -> None:
    shipped = world.andon.ship(repository=str(world.repository), until="@build")
    run = f"build-{shipped['change']}"
    world.until(lambda: world.andon.runs_list(change=shipped["change"]))
    world.until(lambda: state(world, run, "unit") == "running")
    with (world.state.parent / "followed").open("wb") as out:
        follower = subprocess.Popen(
            command(world, "logs", run, "unit", "--follow", "--raw"), stdout=out
        )
    try:
        followed = world.state.parent / "followed"
        world.until(lambda: b"half a line" in followed.read_bytes())
        told = world.andon.runs_log_outline(run, step="unit")
        assert [one["title"] for one in told["groups"]] == ["first", "second"]
        assert told["groups"][1]["last"] == -1
        assert not told["ended"]
        world.kill()
        for file in world.state.glob("work/*/app.py"):
            file.with_name("go").touch()
        world.up(0, "--config", str(world.state.parent / "installation.yaml"))
        assert follower.wait(DEADLINE_SECONDS) == 0
    finally:
        follower.kill()
        follower.wait()
    whole = followed.read_bytes()
    assert b"half a line, whole\n" in whole
    assert whole.count("first line 2000 é\n".encode()) == 1
    log = next(world.state.glob(f"logs/{run}/unit*"))
    assert whole == log.read_bytes(), "nothing is lost, and nothing comes twice"
    world.until(lambda: graph(world, run)["phase"] == "Succeeded")

    log, offset = "", 0
    while (piece := world.andon.runs_log(run, step="unit", offset=offset, max_bytes=5))["data"]:
        log, offset = log + piece["data"], piece["nextOffset"]
        if offset > 600:
            break
    assert whole.decode().startswith(log), "no character is cut apart"
    shown = andon(world, "logs", run, "unit")
    assert "red  half a line, whole" in shown
    assert "\x1b" not in shown
    found = json.loads(andon(world, "logs", run, "unit", "--search", "LINE 1999", "--json"))
    assert [(one["line"], one["text"]) for one in found] == [(1999, "first line 1999 é")]
    page = world.andon.runs_log_lines(run, step="unit", first=-2, count=10)
    assert [one["style"] for one in page["lines"][0]["spans"]] == ["red", ""]


def test_the_path_the_budget_and_the_badge_of_a_build_are_told(world: World) -> None:
    change = world.andon.changes_list()[0]["name"]
    run = f"build-{change}"
    told = graph(world, run)
    assert [one["job"] for one in told["path"]["stretches"]][:2] == ["build", "unit"]
    parts = sum(one["waitedSeconds"] + one["ranSeconds"] for one in told["path"]["stretches"])
    assert parts + told["path"]["tailSeconds"] == pytest.approx(told["path"]["totalSeconds"])
    assert told["verdict"]["late"] is False
    feedback = json.loads(andon(world, "pipeline", "feedback", "--json"))
    assert (feedback["coffee"]["state"], feedback["coffee"]["verdicts"]) == ("healthy", 1)
    said = andon(world, "pipeline", "feedback", "shop")
    assert "Coffee budget of 5m: healthy, 0 of the last 1 verdicts came later" in said
    assert f"Critical path of {run}" in said
    badge = requests.get(f"{world.url}/badge/shop.svg", timeout=DEADLINE_SECONDS)
    assert "build: passing" in badge.text
    assert (
        requests.get(f"{world.url}/api/v1/repositories", timeout=DEADLINE_SECONDS).status_code
        == 401
    )
