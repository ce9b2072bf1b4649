"""Archives: a layer unpacks inside its folder or is refused, and so is a backup."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import every, mutated

from andon.adapters.filetree import leads_outside, remove_tree
from andon.adapters.oci.unpack import extract
from andon.app.upkeep.archive import reading
from andon.kernel.digest import sha256
from andon.kernel.errors import AndonError, Untrusted

NUMBERS = [
    b"0000000\0",
    b"7777777\0",
    b"-000001\0",
    b"99999999",
    b"\x80" + b"\xff" * 11,
    b"\xff" * 12,
]
PIECES = [
    *NUMBERS, bytes(512), bytes(1024), b"ustar\x0000", b"ustar  \0", b"../", b"/", b"./", b".git/",
    b"12 path=../x\n", b"14 size=-2048\n", b"16 linkpath=/etc\n", b"25 GNU.sparse.major=1\n\n",
    b"19 hdrcharset=BINARY\n", b"x", b"g", b"L", b"K", b"S", b"1", b"2", b"3", b"5", b"6",
]  # fmt: skip


@pytest.fixture(autouse=True)
def leaves_no_file_open() -> Iterator[None]:
    opened = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= opened


def with_sums(data: bytes) -> bytes:
    """Correct the sum of every block that may be a header, so that more than sums is tried."""
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    return b"".join(_with_sum(block) if block[257:262] == b"ustar" else block for block in blocks)


def _with_sum(block: bytes) -> bytes:
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def check_layer(data: bytes) -> bool:
    """Say whether it was unpacked."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layer, into = folder / "layer", folder / "in" / "to"
        layer.write_bytes(data)
        into.mkdir(parents=True)
        said = ""
        try:
            extract(layer, sha256(data), into)
        except Untrusted as error:
            said = str(error)
        assert len(said) < 1000
        assert said.isprintable()
        assert sorted(os.listdir(folder)) == ["in", "layer"]
        assert os.listdir(folder / "in") == ["to"]
        assert layer.read_bytes() == data
        check_tree(os.fsencode(into), len(data), unpacked=not said)
        remove_tree(into)
        return not said


def check_tree(root: bytes, most_bytes: int, *, unpacked: bool) -> None:
    links, size_bytes = {}, 0
    for place, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            facts = os.lstat(path)
            kind = stat.S_IFMT(facts.st_mode)
            assert kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
            if kind == stat.S_IFLNK:
                links[os.path.relpath(path, root)] = os.readlink(path)
                continue
            assert stat.S_IMODE(facts.st_mode) in (
                (0o755, 0o644) if unpacked else (0o755, 0o644, 0o600)
            )
            assert facts.st_nlink == 1 or kind == stat.S_IFDIR
            size_bytes += facts.st_size if kind == stat.S_IFREG else 0
    assert size_bytes <= most_bytes
    assert not any(leads_outside(link, links) for link in links)


def check_backup(path: Path) -> None:
    try:
        with reading(path) as archive:
            archive.verify()
    except AndonError as error:
        refusal = error
    else:
        return
    assert refusal.exit_code != 1
    assert len(str(refusal)) < 5000


@every("archives")
def test_kept_archive_unpacks_inside_or_is_refused(path: Path) -> None:
    unpacked = check_layer(path.read_bytes())
    assert unpacked == path.name.startswith("good-")
    check_backup(path)


@given(mutated("archives", PIECES), st.booleans())
def test_changed_archive_unpacks_inside_or_is_refused(data: bytes, summed: bool) -> None:
    data = with_sums(data) if summed else data
    check_layer(data)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "backup"
        path.write_bytes(data)
        check_backup(path)
