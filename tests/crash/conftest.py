"""What the crash tests share: modules beside them, and who plays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--list-points", action="store_true", help="show where the control plane is killed; no test"
    )


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    if not config.getoption("--list-points", default=False):
        return None
    from company import STORIES, Company

    with Company() as company:
        passed = company.count_points(STORIES)
    for label in sorted(passed):
        print(f"{passed[label]:8} {label}")
    print(f"{sum(passed.values()):8} points in {len(STORIES)} scenarios")
    return 0
