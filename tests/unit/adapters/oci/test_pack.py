import hashlib
import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from andon.adapters.oci.pack import members, write_tar
from andon.kernel.errors import StepFailed


def packed(folder: Path) -> bytes:
    sink = io.BytesIO()
    root = os.fsencode(folder)
    write_tar(root, members(root), sink)
    return sink.getvalue()


def test_order_time_umask_and_hard_links_leave_no_trace(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    (one / "a").write_text("same")
    (one / "b").write_text("same")
    (one / "run").write_text("x")
    (one / "run").chmod(0o700)
    umask = os.umask(0o077)
    try:
        other.mkdir()
        (other / "run").write_text("x")
        (other / "b").write_text("same")
        os.link(other / "b", other / "a")
    finally:
        os.umask(umask)
    (other / "run").chmod(0o775)
    os.utime(other / "a", (1, 1))
    if os.getuid() == 0:
        os.chown(other / "a", 12345, 54321)
    assert packed(one) == packed(other)


def test_digest_is_pinned_for_ever(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/run").write_text("#!/bin/sh\n")
    (tmp_path / "bin/run").chmod(0o755)
    (tmp_path / ("n" * 150)).write_text("long")
    (tmp_path / "café").symlink_to("bin/run")
    digest = hashlib.sha256(packed(tmp_path)).hexdigest()
    assert digest == "a74e93caa17021ed157a88586b07453dfc842a0ade1335e7503bd9ff20e17c56"


def test_other_tar_programs_read_it(tmp_path: Path) -> None:
    names = [b"plain", b"caf\xe9", "café".encode(), b"n" * 200, b"-rf", b"new\nline"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(name)
    (tmp_path / "link").symlink_to("n" * 200)
    with tarfile.open(
        fileobj=io.BytesIO(packed(tmp_path)), encoding="utf-8", errors="surrogateescape"
    ) as tar:
        found = {os.fsencode(info.name): info for info in tar}
        assert set(found) == {*names, b"link"}
        assert all((info.mtime, info.uid, info.uname) == (0, 0, "") for info in found.values())
        assert found[b"link"].linkname == "n" * 200
        content = tar.extractfile(found[b"caf\xe9"])
        assert content
        assert content.read() == b"caf\xe9"


def test_version_control_and_byte_code_caches_are_left_out(tmp_path: Path) -> None:
    for folder in (".git", "pkg/__pycache__", "pkg/sub/.git"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x").write_text("x")
    (tmp_path / "pkg/meant.pyc").write_bytes(b"x")
    names = {member.name for member in members(os.fsencode(tmp_path))}
    assert names == {b"pkg", b"pkg/sub", b"pkg/meant.pyc"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "d/../../outside"])
def test_link_out_of_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(StepFailed, match="link"):
        packed(tmp_path)


def test_sockets_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe/p")
    with pytest.raises(StepFailed, match="neither"):
        packed(tmp_path / "pipe")
    (tmp_path / "s").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s/s"))
        with pytest.raises(StepFailed, match="neither"):
            packed(tmp_path / "s")


def test_file_that_changes_while_it_is_packed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before")
    root = os.fsencode(tmp_path)
    for now in ("before and after", "b"):
        (tmp_path / "log").write_text("before")
        listed = members(root)
        (tmp_path / "log").write_text(now)
        with pytest.raises(StepFailed, match="changed"):
            write_tar(root, listed, io.BytesIO())
