from pathlib import Path

import pytest

from andon.adapters.process.logs import read_chunk
from andon.adapters.process.longlogs import add, shorten

HEAD, TAIL = 1 << 20, 1 << 20
MORE = 100 << 20


@pytest.fixture
def long_log(tmp_path: Path) -> Path:
    log = tmp_path / "log"
    lines = b"".join(b"%07d\n" % number for number in range(1 << 17))
    with log.open("wb") as file:
        for _ in range(MORE // len(lines)):
            file.write(lines)
        file.write(b"the last\n")
    return log


def read_from(log: Path, offset: int) -> tuple[bytes, int]:
    pieces = []
    while True:
        data, following = read_chunk(log, offset, 1 << 20)
        if not data:
            return b"".join(pieces), following
        pieces.append(data)
        offset = following


def test_short_log_stays_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 1000)
    assert shorten(log, 10, 10) == 0
    assert log.read_bytes() == b"x" * 1000


def test_long_log_keeps_beginning_and_end_and_says_what_is_missing(long_log: Path) -> None:
    gone = shorten(long_log, HEAD, TAIL)
    said, _ = read_from(long_log, 0)
    assert gone > 90 << 20
    assert long_log.stat().st_blocks * 512 < 4 << 20
    assert said.startswith(b"0000000\n0000001\n")
    assert f"\n[andon: {gone} bytes were left out here".encode() in said
    assert said.endswith(b"the last\n")
    assert b"\0" not in said


def test_reader_that_comes_back_goes_on_where_it_was(long_log: Path) -> None:
    first, offset = read_chunk(long_log, 0, 100)
    shorten(long_log, HEAD, TAIL)
    with long_log.open("ab") as file:
        file.write(b"more\n")
    rest, end = read_from(long_log, offset)
    assert (first + rest).startswith(b"0000000\n")
    assert rest.endswith(b"the last\nmore\n")
    assert end == long_log.stat().st_size
    assert read_chunk(long_log, end, 100) == (b"", end)


def test_reader_that_was_in_what_is_gone_goes_on_behind_it(long_log: Path) -> None:
    gone = shorten(long_log, HEAD, TAIL)
    said, _ = read_from(long_log, 50 << 20)
    assert len(said) == long_log.stat().st_size - gone - HEAD


def copied(log: Path, copy: Path, piece_bytes: int = 1 << 20) -> None:
    """Copy a log as a worker sends it."""
    offset = 0
    while True:
        data, following = read_chunk(log, offset, piece_bytes)
        if not data:
            return
        begin = following - len(data)
        offset = add(copy, begin, data, begin - offset)


def test_copy_of_a_shortened_log_has_its_beginning_and_end_at_the_same_offsets(
    long_log: Path, tmp_path: Path
) -> None:
    gone = shorten(long_log, HEAD, TAIL)
    copy = tmp_path / "copies" / "log"
    copied(long_log, copy)
    assert copy.stat().st_size == long_log.stat().st_size
    assert copy.stat().st_blocks * 512 < 2 * (HEAD + TAIL)
    assert read_from(copy, 0) == read_from(long_log, 0)
    assert f"{gone} bytes were left out here".encode() in read_from(copy, 0)[0]


def test_log_that_was_shortened_while_it_was_copied_says_what_the_copy_misses(
    long_log: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    first, _ = read_chunk(long_log, 0, 3 * HEAD)
    at = add(copy, 0, first)
    shorten(long_log, HEAD, TAIL)
    data, following = read_chunk(long_log, at, 2 * TAIL)
    begin = following - len(data)
    assert add(copy, begin, data, begin - at) == following
    said, _ = read_from(copy, 0)
    assert f"{begin - at} bytes were left out here".encode() in said
    assert said.endswith(b"the last\n")


def test_gap_that_is_none_in_the_original_is_not_taken_and_nothing_is_taken_twice(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy"
    assert add(copy, 0, b"one ") == 4
    assert add(copy, 9, b"three") == 4
    assert add(copy, 9, b"three", left_out_bytes=2) == 4
    assert add(copy, 2, b"e two ") == 8
    assert copy.read_bytes() == b"one two "
