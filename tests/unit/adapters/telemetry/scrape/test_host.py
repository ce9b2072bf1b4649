"""What the kernel tells arrives under the names that dashboards know."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from andon.adapters.telemetry.scrape import host


def values(rows, name, **labels):
    return [
        value
        for one, value in rows
        if ("__name__", name) in one and set(labels.items()) <= set(one)
    ]


def test_machine_tells_its_processors_memory_and_disk(tmp_path):
    rows = host.machine({"job": "node"}, [tmp_path, Path("/nowhere")])
    assert values(rows, "node_cpu_seconds_total", mode="idle", job="node")[0] > 0
    assert (
        values(rows, "node_memory_MemTotal_bytes")[0] > values(rows, "node_memory_MemFree_bytes")[0]
    )
    (size,), (left,) = (values(rows, f"node_filesystem_{name}_bytes") for name in ("size", "avail"))
    assert size >= left > 0
    assert len(values(rows, "node_load1")) == 1
    assert {dict(labels)["__name__"] for labels, _ in rows} <= set(host.FAMILIES)
    assert [labels for labels, _ in rows] == [tuple(sorted(labels)) for labels, _ in rows]


def test_process_counts_what_it_started_before_and_after_that_ended():
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(20000000))'])"
    )
    program += "; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        rows = host.process(process.pid, {"service": "shop"})
        process.communicate(b"\n")
    assert values(rows, "process_cpu_seconds_total", service="shop")[0] >= 0.1
    assert values(rows, "process_resident_memory_bytes")[0] > 1 << 20
    assert values(rows, "process_threads") == [1]


def test_process_that_is_gone_tells_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert host.process(process.pid, {}) == []
    assert host.process(os.getpid(), {})
