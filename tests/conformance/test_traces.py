from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.adapters.telemetry.traces import SpanStore
from andon.testing.disks import fill, small_disk
from andon.testing.trace_suite import TraceSuite, make_span, trace_id

WRITER = """\
import sys
from pathlib import Path
from andon.adapters.telemetry.traces import SpanStore
from andon.testing.trace_suite import BEGAN_NS, make_span
store = SpanStore(Path(sys.argv[1]))
number = 0
while True:
    store.receive([make_span(number, 0), make_span(number, 1)], BEGAN_NS)
    print(number, flush=True)
    number += 1
"""


class TestSpanStore(TraceSuite):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Callable[..., SpanStore]]:
        with contextlib.ExitStack() as stack:

            def open_store(**more: Any) -> SpanStore:
                store = SpanStore(tmp_path / "disk" / "traces.db", **more)
                stack.callback(store.close)
                return store

            stack.enter_context(small_disk(tmp_path / "disk", "64m"))
            yield open_store

    @pytest.fixture
    def full(self, tmp_path: Path) -> Callable[[], None]:
        return lambda: fill(tmp_path / "disk") and None


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(200)]
        os.kill(process.pid, signal.SIGKILL)
        said += [int(line) for line in process.stdout.read().splitlines() if line.isdigit()]
    store = SpanStore(path)
    assert said == list(range(len(said)))
    assert all(len(store.trace(trace_id(number))) == 2 for number in said[:-1])
    store.close()


def test_a_broken_file_is_set_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    path.write_bytes(b"this was a database once" * 1000)
    store = SpanStore(path)
    store.append([make_span(1, 0)])
    assert store.trace(trace_id(1)) == [make_span(1, 0)]
    store.close()
    assert (tmp_path / "traces.db.broken-1").read_bytes().startswith(b"this was")
    assert path.stat().st_mode & 0o077 == 0
