"""Logs in pages: any length, any content, and no more in memory than an index."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from andon.adapters.process.longlogs import shorten
from andon.app.builds import logindex
from andon.app.builds.logindex import LogIndex
from andon.app.builds.logs import FoundLog, Logs
from andon.kernel.errors import NotFound, UsageError
from andon.testing.built import LogFolder

LOG = FoundLog("build-1", "unit", "a.log", True)
RUNNING = FoundLog("build-1", "unit", "a.log", False)
BEGIN = b"\x1b[0Ksection_start:%d:step_%d\r\x1b[0K%s\n"
END = b"\x1b[0Ksection_end:%d:step_%d\r\x1b[0K\n"


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path)


def numbers(page: dict) -> list[int]:
    return [one["number"] for one in page["lines"]]


def text(page: dict) -> list[str]:
    return ["".join(span["text"] for span in one["spans"]) for one in page["lines"]]


def index_of(data: bytes, *, piece: int = 1 << 16) -> LogIndex:
    index = LogIndex()
    for at in range(0, len(data), piece):
        index.feed(data[at : at + piece])
    return index


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_an_index_is_the_same_however_the_log_comes(piece: int) -> None:
    data = b"one\n" + BEGIN % (1, 1, b"tests \x1b[1mbold") + b"a\nb\n" + END % (2, 1) + b"last"
    index = index_of(data, piece=piece)
    assert (index.lines, index.count, index.size, index.unfinished) == (5, 6, len(data), 4)
    assert [(one.title, one.first, one.last) for one in index.groups] == [("tests bold", 1, 4)]


def test_groups_lie_in_one_another_and_may_never_end() -> None:
    index = index_of(
        BEGIN % (1, 1, b"outer")
        + b"::group::inner\nx\n::endgroup::\n"
        + BEGIN % (1, 2, b"")
        + END % (2, 9)
    )
    told = [(one.title, one.first, one.last) for one in index.groups]
    assert told == [("outer", 0, -1), ("inner", 1, 3), ("step_2", 4, -1)]


def test_marks_within_a_line_are_no_marks() -> None:
    assert not index_of(b"x" * 200 + BEGIN % (1, 1, b"no") + b"say ::group::no\n").groups


def test_an_index_stays_small_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logindex, "BLOCK_BYTES", 64)
    monkeypatch.setattr(logindex, "MOST_MARKS", 16)
    monkeypatch.setattr(logindex, "MOST_GROUPS", 5)
    index = LogIndex()
    for number in range(2000):
        index.feed(BEGIN % (1, number, b"g") + b"line\n" + END % (1, number))
    assert index.lines == 6000
    assert len(index._marks) <= 16
    assert (len(index.groups), index.left_out) == (5, True)
    assert index.before(3000).line <= 3000
    deep = index_of(b"".join(BEGIN % (1, number, b"g") for number in range(5000)))
    assert len(deep.groups) <= 32


async def test_pages_hold_every_line_once_whatever_the_log(folder: LogFolder) -> None:
    chance = random.Random(5)
    lines = [
        bytes(chance.choices(b"abc\xff\xc3 \t", k=chance.choice((0, 3, 80, 9000))))
        for _ in range(900)
    ]
    folder.write("a.log", b"\n".join(lines))
    logs, first, found = Logs(folder.read), 0, []
    while True:
        page = await logs.lines(LOG, first, 100)
        if not page["lines"]:
            break
        found += page["lines"]
        first = page["next"]
    assert [one["number"] for one in found] == list(range(len(lines)))
    for one, line in zip(found, lines, strict=True):
        shown = "".join(span["text"] for span in one["spans"])
        assert shown == line[:8192].decode(errors="replace")
        assert one["cut"] == max(0, len(line) - 8192)


async def test_the_end_of_a_log_is_asked_for_by_a_negative_number(folder: LogFolder) -> None:
    folder.write("a.log", b"".join(b"%d\n" % number for number in range(5000)))
    page = await Logs(folder.read).lines(LOG, -3, 10)
    assert (numbers(page), text(page)) == ([4997, 4998, 4999], ["4997", "4998", "4999"])
    assert (page["next"], page["total"], page["ended"]) == (5000, 5000, True)
    beyond = await Logs(folder.read).lines(LOG, 9999, 10)
    assert (beyond["lines"], beyond["next"]) == ([], 5000)


async def test_a_log_is_followed_without_losing_or_doubling_a_line(folder: LogFolder) -> None:
    logs = Logs(folder.read)
    assert (await logs.lines(RUNNING, 0, 10))["lines"] == [], "its job has not written yet"
    folder.write("a.log", b"one\ntw")
    page = await logs.lines(RUNNING, 0, 10)
    assert (text(page), page["unfinished"], page["ended"]) == (["one", "tw"], True, False)
    folder.write("a.log", b"one\ntwo\nthree\n")
    # A reader that was cut off, and a server that was restarted: only the number counts.
    for server in (logs, Logs(folder.read)):
        page = await server.lines(RUNNING, 1, 10)
        assert (text(page), page["unfinished"]) == (["two", "three"], False)


async def test_a_log_that_begins_anew_is_read_anew(folder: LogFolder) -> None:
    logs = Logs(folder.read)
    folder.write("a.log", b"old\n" * 100)
    assert (await logs.outline(RUNNING))["lines"] == 100
    folder.write("a.log", b"new\n")
    await logs.outline(RUNNING)
    assert text(await logs.lines(RUNNING, 0, 10)) == ["new"]


async def test_lines_of_megabytes_are_cut_and_the_next_ones_found(folder: LogFolder) -> None:
    long = b"x" * 3_000_000
    folder.write("a.log", b"a\n" + long + b"\nneedle\n" + long + b"\nb\n" + b"y" * 1_500_000)
    page = await Logs(folder.read).lines(LOG, 0, 100)
    assert [shown[:6] for shown in text(page)] == ["a", "xxxxxx", "needle", "xxxxxx", "b", "yyyyyy"]
    assert [one["cut"] > 0 for one in page["lines"]] == [False, True, False, True, False, True]
    found = await Logs(folder.read).search(LOG, "NEEDLE", 0)
    assert ([one["line"] for one in found["matches"]], found["done"]) == ([2], True)


async def test_a_search_is_bounded_and_goes_on_where_it_stopped(folder: LogFolder) -> None:
    data = b"".join(
        b"line %d \x1b[31mre\x1b[0md of the log\n" % number for number in range(700_000)
    )
    folder.write("a.log", data)
    logs, found, first, times = Logs(folder.read), [], 0, 0
    while True:
        told = await logs.search(LOG, "7777 RED", first)
        found += [one["line"] for one in told["matches"]]
        first, times = told["next"], times + 1
        if told["done"]:
            break
    assert found == [number for number in range(700_000) if number % 10_000 == 7777]
    assert times > 1


async def test_of_many_matches_so_many_are_told_at_a_time(folder: LogFolder) -> None:
    folder.write("a.log", b"same same\n" * 1000)
    logs, found, first = Logs(folder.read), [], 0
    while True:
        told = await logs.search(LOG, "same", first)
        assert len(told["matches"]) <= 200
        found += [one["line"] for one in told["matches"]]
        first = told["next"]
        if told["done"]:
            break
    assert found == list(range(1000))


async def test_a_search_for_one_letter_is_refused(folder: LogFolder) -> None:
    folder.write("a.log", b"x")
    with pytest.raises(UsageError):
        await Logs(folder.read).search(LOG, "x", 0)


async def test_a_step_that_ended_without_a_log_has_none(folder: LogFolder) -> None:
    with pytest.raises(NotFound):
        await Logs(folder.read).lines(LOG, 0, 10)
    with pytest.raises(NotFound):
        await Logs(folder.read).raw(LOG)


async def test_a_download_is_the_log_byte_by_byte_from_any_offset(folder: LogFolder) -> None:
    data = random.Random(7).randbytes(2_000_000)
    folder.write("a.log", data)
    logs = Logs(folder.read)
    assert b"".join([piece async for piece in await logs.raw(LOG)]) == data
    assert b"".join([piece async for piece in await logs.raw(LOG, 1_999_990)]) == data[-10:]


async def test_a_hundred_megabytes_are_looked_at_without_reading_them_again(
    folder: LogFolder,
) -> None:
    step = b"".join(b"\x1b[32mok\x1b[0m test number %d of many more\n" % n for n in range(20_000))
    with (folder.folder / "a.log").open("wb") as file:
        while file.tell() < 100_000_000:
            at = file.tell()
            file.write(BEGIN % (at, at, b"step at %d" % at) + step + END % (at, at))
    logs = Logs(folder.read)
    while not (told := await logs.outline(LOG))["complete"]:
        pass
    assert told["bytes"] >= 100_000_000
    assert len(told["groups"]) * 20_002 == told["lines"]
    folder.asked.clear()
    page = await logs.lines(LOG, told["lines"] // 2, 300)
    assert len(page["lines"]) == 300
    await logs.lines(LOG, -200, 200)
    assert len(folder.asked) <= 10, "a page costs a few pieces, not the log"


async def test_log_whose_middle_was_left_out_is_read_over_it(folder: LogFolder) -> None:
    lines = b"".join(b"%07d\n" % number for number in range(1 << 17))
    file = folder.folder / LOG.file
    file.write_bytes(lines * 70)
    gone = shorten(file, 1 << 20, 1 << 20)
    logs = Logs(folder.read)
    outline = await logs.outline(LOG)
    while not outline["complete"]:
        outline = await logs.outline(LOG)
    assert gone > 60 << 20
    assert outline["bytes"] == file.stat().st_size
    assert text(await logs.lines(LOG, -1, 1)) == ["0131071"]
    page = await logs.lines(LOG, outline["lines"] // 2 - 20, 40)
    [note] = [line for line in text(page) if "bytes were left out here" in line]
    assert str(gone) in note
    assert len(b"".join([piece async for piece in await logs.raw(LOG)])) == len(lines) * 70 - gone
