import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from andon.adapters.filetree import remove_tree
from andon.adapters.git import GitSource
from andon.adapters.oci import OciArtifactStore
from andon.api.v1.actions import ArtifactPacked, Intent
from andon.kernel.digest import sha256
from andon.kernel.errors import StepFailed, Untrusted
from andon.testing.artifact_suite import packing


def opened(folder: Path) -> OciArtifactStore:
    return OciArtifactStore(folder / "layout", GitSource(folder / "cache"), folder / "work")


def pack(folder: Path, key: str = "1") -> ArtifactPacked:
    dist = folder / "work/job/dist"
    dist.mkdir(parents=True, exist_ok=True)
    (dist / "run").write_text("x")
    return asyncio.run(opened(folder).pack_artifact(packing("job"), Intent(key=key, epoch=1)))


def test_layout_is_valid_and_points_from_index_to_layer(tmp_path: Path) -> None:
    packed = pack(tmp_path)
    layout = tmp_path / "layout"
    blobs = layout / "blobs/sha256"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["annotations"]["dev.andon.service"] == "shop"
    manifest = json.loads((blobs / entry["digest"][7:]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
    assert manifest["layers"][0]["digest"] == packed.digest
    assert config["rootfs"]["diff_ids"] == [packed.digest]
    for blob in blobs.iterdir():
        assert sha256(blob.read_bytes()) == f"sha256:{blob.name}"
    assert list((layout / ".incoming").iterdir()) == []


def test_equal_content_is_listed_once(tmp_path: Path) -> None:
    pack(tmp_path, "1")
    pack(tmp_path, "2")
    assert len(json.loads((tmp_path / "layout/index.json").read_text())["manifests"]) == 1


def test_damaged_blob_is_not_unpacked(tmp_path: Path) -> None:
    digest = pack(tmp_path).digest
    blob = tmp_path / "layout/blobs/sha256" / digest[7:]
    blob.write_bytes(blob.read_bytes().replace(b"x", b"y", 1))
    with pytest.raises(Untrusted):
        opened(tmp_path).unpack(digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(Untrusted):
        opened(tmp_path).ensure_unpacked(digest, tmp_path / "artifacts")
    assert not list((tmp_path / "artifacts").glob("*.complete"))


def test_deleted_folder_is_made_again(tmp_path: Path) -> None:
    digest = pack(tmp_path).digest
    store, artifacts = opened(tmp_path), tmp_path / "artifacts"
    folder = store.ensure_unpacked(digest, artifacts)
    assert (folder / "run").stat().st_mode & 0o777 == 0o444
    remove_tree(folder)
    assert (store.ensure_unpacked(digest, artifacts) / "run").exists()


def test_unpacked_folder_is_never_replaced(tmp_path: Path) -> None:
    digest = pack(tmp_path).digest
    store, artifacts = opened(tmp_path), tmp_path / "artifacts"
    before = store.ensure_unpacked(digest, artifacts).stat().st_ino
    (artifacts / f"{digest[7:]}.complete").unlink()
    assert store.ensure_unpacked(digest, artifacts).stat().st_ino == before
    assert (artifacts / f"{digest[7:]}.complete").exists()


def test_many_at_once_unpack_once(tmp_path: Path) -> None:
    digest = pack(tmp_path).digest
    store, artifacts = opened(tmp_path), tmp_path / "artifacts"
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: store.ensure_unpacked(digest, artifacts), range(16)))
    assert len(set(folders)) == 1
    assert sorted(path.suffix for path in artifacts.iterdir()) == ["", ".complete", ".lock"]


def test_link_as_path_must_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "work/job").mkdir(parents=True)
    (tmp_path / "work/job/dist").symlink_to(tmp_path)
    with pytest.raises(StepFailed, match="outside"):
        asyncio.run(opened(tmp_path).pack_artifact(packing("job"), Intent(key="1", epoch=1)))


def test_killed_pack_leaves_nothing_visible_and_the_next_sweeps(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from andon.adapters.oci.layout import Layout\n"
        "def slow(sink):\n"
        "    sink.write(b'half'); print('writing', flush=True); sys.stdin.read()\n"
        f"Layout(Path({str(tmp_path / 'layout')!r})).put(slow)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == b"writing\n"
    pack(tmp_path, "1")
    incoming = tmp_path / "layout/.incoming"
    assert len(list(incoming.iterdir())) == 1, "a living writer's file is left alone"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    pack(tmp_path, "2")
    assert list(incoming.iterdir()) == []
    assert opened(tmp_path).digests() == {pack(tmp_path, "2").digest}
