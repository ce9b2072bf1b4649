from pathlib import Path

import pytest

from andon.adapters.git import GitSource
from andon.adapters.oci import OciArtifactStore
from andon.testing.artifact_suite import ArtifactSuite


class TestOciArtifactStore(ArtifactSuite):
    @pytest.fixture
    def work(self, tmp_path: Path) -> Path:
        return tmp_path / "work"

    @pytest.fixture
    def artifacts(self, tmp_path: Path, work: Path) -> OciArtifactStore:
        return OciArtifactStore(tmp_path / "layout", GitSource(tmp_path / "cache"), work)
