import io
import tarfile
from pathlib import Path

import pytest

from andon.adapters.oci.unpack import extract
from andon.kernel.digest import sha256
from andon.kernel.errors import Untrusted


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def layer(path: Path, *infos: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return path


HOSTILE = {
    "path up": [member("../x")],
    "path through": [member("a/../../x")],
    "absolute": [member("/x")],
    "git folder": [member("a/.git/hooks/post-checkout")],
    "link out": [member("l", tarfile.SYMTYPE, "../x")],
    "absolute link": [member("l", tarfile.SYMTYPE, "/etc")],
    "link by link": [
        member("a/top", tarfile.SYMTYPE, ".."),
        member("a/x", tarfile.SYMTYPE, "top/../x"),
    ],
    "file below link": [member("l", tarfile.SYMTYPE, "d"), member("l/x")],
    "file on link": [member("l", tarfile.SYMTYPE, "d"), member("l")],
    "two links": [member("l", tarfile.SYMTYPE, "d"), member("l", tarfile.SYMTYPE, "e")],
    "hard link": [member("f"), member("h", tarfile.LNKTYPE, "f")],
    "device": [member("null", tarfile.CHRTYPE)],
    "pipe": [member("pipe", tarfile.FIFOTYPE)],
    "twice": [member("f"), member("f")],
    "folder on file": [member("f"), member("f", tarfile.DIRTYPE)],
    "file below file": [member("f"), member("f/g")],
    "link on folder": [member("f", tarfile.DIRTYPE), member("f", tarfile.SYMTYPE, "g")],
    "deeper than any stack": [member("a/" * 1900 + "f")],
    "name too long": [member("a" * 300)],
    "path too long": [member("/".join(["a" * 250] * 20))],
    "link to nothing": [member("l", tarfile.SYMTYPE, "")],
    "link too long": [member("l", tarfile.SYMTYPE, "a/" * 3000)],
    "socket": [member("s", b"s")],
    "sparse": [member("s", tarfile.GNUTYPE_SPARSE)],
    "continuous": [member("../x", tarfile.CONTTYPE)],
}


def pax(records: bytes, kind: bytes = b"x", size: int | None = None) -> bytes:
    info = member("pax", kind)
    info.size = len(records) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + records + b"\0" * (-len(records) % 512)


FILE = member("f").tobuf(tarfile.USTAR_FORMAT)
END = b"\0" * 1024
BYTES = {
    "headers without end": pax(b"12 path=abc\n") * 3000 + FILE + END,
    "long names without end": pax(b"abc\0", b"L") * 3000 + FILE + END,
    "size below zero": pax(b"14 size=-2048\n") + FILE + END,
    "size as words": pax(b"12 size=ten\n") + FILE + END,
    "size of thousands of digits": pax(b"5009 size=" + b"9" * 4998 + b"\n") + FILE + END,
    "name by header": pax(b"15 path=../abc\n") + FILE + END,
    "name for all": pax(b"15 path=../abc\n", b"g") + FILE + END,
    "header of gigabytes": pax(b"12 path=abc\n", size=1 << 33) + FILE + END,
    "header of many records": pax(b"6 a=b\n" * 10000) + FILE + END,
    "digits without end": pax(b"1" * 60000) + FILE + END,
    "record that overlaps": pax(b"1 path=abc\n") + FILE + END,
    "record longer than its header": pax(b"999 path=abc\n") + FILE + END,
    "sparse map": pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n") + FILE + END,
    "nul in a link": pax(b"17 linkpath=a\0bc\n")
    + member("l", tarfile.SYMTYPE, "x").tobuf(tarfile.USTAR_FORMAT)
    + END,
    "damage in the middle": FILE + b"x" * 512 + END,
    "end missing": FILE,
    "header without its file": pax(b"12 path=abc\n") + END,
    "size that is none": FILE[:124] + b"zzzzzzzzzzz\0" + FILE[136:] + END,
    "size below zero in base 256": FILE[:124] + b"\xff" * 12 + FILE[136:] + END,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layer_is_refused(tmp_path: Path, name: str) -> None:
    path = layer(tmp_path / "layer", *HOSTILE[name])
    (tmp_path / "in/out").mkdir(parents=True)
    with pytest.raises(Untrusted):
        extract(path, sha256(path.read_bytes()), tmp_path / "in/out")
    assert {p.name for p in tmp_path.iterdir()} == {"layer", "in"}
    assert {p.name for p in (tmp_path / "in").iterdir()} == {"out"}


def with_sum(data: bytes) -> bytes:
    """Correct the sum of the first header, so that it is not what is refused."""
    block = data[:148] + b" " * 8 + data[156:512]
    return data[:148] + b"%06o\0 " % sum(block) + data[156:]


@pytest.mark.parametrize("name", BYTES)
def test_hostile_headers_are_refused(tmp_path: Path, name: str) -> None:
    data = with_sum(BYTES[name])
    (tmp_path / "layer").write_bytes(data)
    (tmp_path / "in/out").mkdir(parents=True)
    with pytest.raises(Untrusted, match="cannot be unpacked"):
        extract(tmp_path / "layer", sha256(data), tmp_path / "in/out")
    assert {p.name for p in (tmp_path / "in").iterdir()} == {"out"}


def test_bomb_is_refused_before_it_is_written(tmp_path: Path) -> None:
    info = member("bomb")
    info.size = 1 << 40
    (tmp_path / "layer").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024)
    with pytest.raises(Untrusted, match="more bytes"):
        extract(tmp_path / "layer", sha256((tmp_path / "layer").read_bytes()), tmp_path)
    assert not (tmp_path / "bomb").exists()


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 512, b"\xff" * 2048, b"\0" * 100])
def test_what_is_no_tar_is_never_a_crash(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "layer").write_bytes(data)
    with pytest.raises(Untrusted):
        extract(tmp_path / "layer", "sha256:" + "0" * 64, tmp_path)


def test_damage_is_called_damage(tmp_path: Path) -> None:
    path = layer(tmp_path / "layer", member("a"))
    digest = sha256(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (tmp_path / "out").mkdir()
    with pytest.raises(Untrusted, match="damaged"):
        extract(path, digest, tmp_path / "out")


def test_set_user_id_is_dropped(tmp_path: Path) -> None:
    info = member("run")
    info.mode = 0o6777
    path = layer(tmp_path / "layer", info)
    (tmp_path / "out").mkdir()
    extract(path, sha256(path.read_bytes()), tmp_path / "out")
    assert (tmp_path / "out/run").stat().st_mode & 0o7777 == 0o755
