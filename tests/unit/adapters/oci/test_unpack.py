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
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layer_is_refused(tmp_path: Path, name: str) -> None:
    path = layer(tmp_path / "layer", *HOSTILE[name])
    (tmp_path / "in/out").mkdir(parents=True)
    with pytest.raises(Untrusted):
        extract(path, sha256(path.read_bytes()), tmp_path / "in/out")
    assert {p.name for p in tmp_path.iterdir()} == {"layer", "in"}
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
