"""Log files are followed: nothing twice, nothing missed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.adapters.process import logs as files
from andon.adapters.telemetry.logs import SqliteLogStore
from andon.app.telemetry.following import Follower
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import LogLine, LogQuestion

NOW = 1_772_300_000.0
REPLICA = "services/prod.shop.1a2b-3c4d.0.log"


class World:
    """A folder of logs, and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        (self.logs / "services").mkdir(parents=True)
        (folder / "agent").mkdir()
        self.store = SqliteLogStore(folder / "logs.db")
        self.now = NOW
        self.restart()

    def restart(self) -> None:
        self.follower = Follower(self.logs, self.folder / "agent/agent.log", self.store, 86_400)

    def write(self, name: str, text: str, seconds_ago: float = 0) -> None:
        file = self.folder / "logs" / name
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as log:
            log.write(text)
        self.now += 1
        os.utime(file, (self.now - seconds_ago, self.now - seconds_ago))

    def look(self) -> None:
        while self.follower.take(
            self.follower.find_all(self.now), {"r1": {"repository": "x"}}, self.now
        ):
            pass

    def lines(self) -> list[LogLine]:
        question = LogQuestion(start_ns=0, end_ns=2**62, limit=100_000)
        return self.store.search(question).lines[::-1]

    def texts(self) -> list[str]:
        return [one.text for one in self.lines()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


def test_lines_of_a_replica_know_where_they_come_from(world: World) -> None:
    world.write(
        REPLICA, "2026-02-28T17:30:00Z ERROR no card trace_id=0af7651916cd43dd8448eb211c80319c\n"
    )
    world.look()
    (line,) = world.lines()
    assert line.labels == {
        "source": "service", "environment": "prod", "service": "shop",
        "version": "1a2b-3c4d", "replica": "0",
    }  # fmt: skip
    assert line.severity == "error"
    assert line.trace == "0af7651916cd43dd8448eb211c80319c"
    assert line.at_ns == 1_772_299_800 * 10**9


def test_lines_of_a_job_know_their_run(world: World) -> None:
    world.write("r1/unit-test-2.log", "\x1b[31mred\x1b[0m\n10 %\r100 %\n")
    world.look()
    assert world.texts() == ["red", "100 %"]
    assert world.lines()[0].labels == {
        "source": "job", "run": "r1", "job": "unit-test", "repository": "x",
    }  # fmt: skip


def test_nothing_is_taken_twice_and_nothing_missed_over_restarts(world: World) -> None:
    for number in range(10):
        world.write(REPLICA, f"line {number}\n")
        world.look()
        if number % 3 == 0:
            world.restart()
    assert world.texts() == [f"line {number}" for number in range(10)]


def test_the_beginning_of_a_line_waits_for_its_end(world: World) -> None:
    world.write(REPLICA, "first\nsec")
    world.look()
    assert world.texts() == ["first"]
    world.write(REPLICA, "ond\n")
    world.look()
    assert world.texts() == ["first", "second"]


def test_a_last_line_without_end_is_taken_when_nothing_follows(world: World) -> None:
    world.write(REPLICA, "first\nlast", seconds_ago=30)
    world.look()
    assert world.texts() == ["first", "last"]


def test_a_rotated_file_is_read_to_its_end(world: World) -> None:
    world.write(REPLICA, "one\n")
    world.look()
    world.write(REPLICA, "two\n")
    files.rotate(world.logs / REPLICA, limit_bytes=1)
    world.write(REPLICA, "three, longer than what was there before it was rotated\n")
    world.look()
    assert world.texts() == [
        "one",
        "two",
        "three, longer than what was there before it was rotated",
    ]


def test_a_line_of_megabytes_is_taken_in_parts(world: World) -> None:
    world.write(REPLICA, "x" * 3_000_000 + "\nend\n")
    world.look()
    assert world.texts()[-1] == "end"
    assert sum(map(len, world.texts())) == 3_000_003


def test_lines_without_time_belong_to_the_line_before(world: World) -> None:
    world.write(REPLICA, "2026-02-28T17:30:00Z ERROR it\n  File x, line 3\nValueError\n")
    world.look()
    assert {one.at_ns for one in world.lines()} == {1_772_299_800 * 10**9}


def test_files_older_than_what_is_kept_are_not_begun(world: World) -> None:
    world.write("r1/old-1.log", "old\n", seconds_ago=100_000)
    world.look()
    assert world.texts() == []


def test_marks_of_files_that_are_gone_are_forgotten(world: World) -> None:
    world.write(REPLICA, "one\n")
    world.look()
    (world.logs / REPLICA).unlink()
    world.look()
    assert world.store.marks() == {}


def test_what_cannot_be_kept_is_taken_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(REPLICA, "one\n")
    append = world.store.append

    def full(*_: object) -> int:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(world.store, "append", full)
    with pytest.raises(Unavailable):
        world.look()
    monkeypatch.setattr(world.store, "append", append)
    world.look()
    assert world.texts() == ["one"]


def test_no_link_leads_out_of_the_folder(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret.log"
    secret.write_text("secret\n")
    (world.logs / "services" / "a.b.c.0.log").symlink_to(secret)
    world.look()
    assert world.texts() == []
