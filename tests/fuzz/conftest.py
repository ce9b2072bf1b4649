"""Fuzzing with a kept corpus: nothing that anybody can send crashes, hangs or leaks.

``corpus/<what>/`` holds inputs, one a file: tricks that once worked or might have. Each is tried as it is and
as material for mutations. The search is derandomised, so that a run is repeated by the next; what a longer
search finds (``ANDON_FUZZ_EXAMPLES=20000 pytest tests/fuzz``) is put there by hand.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

LONGEST_SECONDS = 300

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("ANDON_FUZZ_EXAMPLES", "150")),
    derandomize="ANDON_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")


@pytest.fixture(autouse=True)
def hangs_never() -> Iterator[None]:
    """End a test that hangs."""

    def hangs(signal: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still at it after {LONGEST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, hangs)
    if "ANDON_FUZZ_EXAMPLES" not in os.environ:
        signal.alarm(LONGEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
