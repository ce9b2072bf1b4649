"""What every ArtifactStore must do; a plugin's tests subclass this and provide the fixtures."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

from pathlib import Path

import pytest

from andon.adapters.filetree import work_tree
from andon.api.v1.actions import Intent, PackArtifact
from andon.kernel.errors import NotFound, StepFailed, UsageError
from andon.ports import ArtifactStore


def packing(key: str, path: str = "dist") -> PackArtifact:
    """Ask for a folder of a job's work tree."""
    return PackArtifact(service="shop", repository="", sha="", path=path, job_key=key)


class ArtifactSuite:
    """Fixtures to provide: ``artifacts`` (the store) and ``work`` (the folder of its work trees)."""

    def _built(self, work: Path, key: str) -> Path:
        dist = work_tree(work, key) / "dist"
        (dist / "bin").mkdir(parents=True)
        (dist / "bin/run").write_text("#!/bin/sh\n")
        (dist / "bin/run").chmod(0o755)
        (dist / "page.html").write_text("hello")
        (dist / "latest").symlink_to("page.html")
        return dist

    async def test_what_was_packed_is_unpacked(
        self, artifacts: ArtifactStore, work: Path, tmp_path: Path
    ) -> None:
        self._built(work, "r/1/build/0")
        packed = await artifacts.pack_artifact(packing("r/1/build/0"), Intent(key="p", epoch=1))
        artifacts.unpack(packed.digest, tmp_path / "out")
        assert packed.files == 3
        assert packed.purl == f"pkg:oci/shop@sha256%3A{packed.digest[7:]}"
        assert (tmp_path / "out/latest").read_text() == "hello"
        assert (tmp_path / "out/bin/run").stat().st_mode & 0o777 == 0o755

    async def test_equal_trees_have_equal_digests(
        self, artifacts: ArtifactStore, work: Path
    ) -> None:
        self._built(work, "a")
        self._built(work, "b")
        one = await artifacts.pack_artifact(packing("a"), Intent(key="1", epoch=1))
        other = await artifacts.pack_artifact(packing("b"), Intent(key="2", epoch=1))
        assert one.digest == other.digest

    async def test_same_key_answers_the_same_without_the_work_tree(
        self, artifacts: ArtifactStore, work: Path
    ) -> None:
        dist = self._built(work, "a")
        once = await artifacts.pack_artifact(packing("a"), Intent(key="1", epoch=1))
        (dist / "page.html").write_text("changed")
        assert await artifacts.pack_artifact(packing("a"), Intent(key="1", epoch=2)) == once

    async def test_nothing_left_is_the_change_s_fault(
        self, artifacts: ArtifactStore, work: Path
    ) -> None:
        (work_tree(work, "a") / "empty").mkdir(parents=True)
        for path in ("dist", "empty"):
            with pytest.raises(StepFailed, match=path):
                await artifacts.pack_artifact(packing("a", path), Intent(key=path, epoch=1))

    @pytest.mark.parametrize("path", ["../b/dist", "/etc", "dist/../../b"])
    async def test_path_outside_of_the_work_tree_is_refused(
        self, artifacts: ArtifactStore, work: Path, path: str
    ) -> None:
        self._built(work, "a")
        self._built(work, "b")
        with pytest.raises(UsageError):
            await artifacts.pack_artifact(packing("a", path), Intent(key="1", epoch=1))

    async def test_deleted_work_tree_is_not_the_change_s_fault(
        self, artifacts: ArtifactStore
    ) -> None:
        with pytest.raises(NotFound, match="work tree"):
            await artifacts.pack_artifact(packing("gone"), Intent(key="1", epoch=1))

    def test_unknown_digest_is_not_found(self, artifacts: ArtifactStore, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            artifacts.unpack("sha256:" + "0" * 64, tmp_path / "out")
