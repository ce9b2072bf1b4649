from pathlib import Path

import pytest

from andon.adapters.process.logs import read_chunk
from andon.adapters.process.longlogs import shorten

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
