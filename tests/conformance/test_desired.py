from pathlib import Path

import pytest

from andon.adapters.git import GitDesiredState
from andon.testing.desired_suite import DesiredSuite


class FixedClock:
    def now(self) -> float:
        return 1_700_000_000.0


class TestGitDesiredState(DesiredSuite):
    @pytest.fixture
    def desired(self, tmp_path: Path) -> GitDesiredState:
        return GitDesiredState(tmp_path / "desired.git", FixedClock())
