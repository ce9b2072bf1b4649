"""A Prometheus of the tests' own: a private folder, a loopback port of its own, data of our making."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from andon.ports.telemetry import Labels
from andon.testing.children import Child, answers, free_port

READY = b"GET /-/ready HTTP/1.0\r\n\r\n"
Sample = tuple[int, float]


def programs() -> tuple[Path, Path] | None:
    """Return the installed ``prometheus`` and ``promtool``; None if there are none."""
    server, tool = shutil.which("prometheus"), shutil.which("promtool")
    return (Path(server), Path(tool)) if server and tool else None


def open_metrics(series: Iterable[tuple[Labels, Iterable[Sample]]]) -> str:
    """Write series as OpenMetrics, with times."""
    lines = []
    for labels, samples in series:
        known = dict(labels)
        name = known.pop("__name__")
        inner = ",".join(f'{key}="{value}"' for key, value in known.items())
        lines += [f"{name}{{{inner}}} {value!r} {at / 1000:.3f}" for at, value in samples]
    return "\n".join([*lines, "# EOF", ""])


@contextlib.contextmanager
def running_prometheus(
    folder: Path, series: Iterable[tuple[Labels, Iterable[Sample]]], config: str = ""
) -> Iterator[str]:
    """Start a server that has these series, and end it in the end; returns its address.

    Args:
        folder: Its data.
        series: Filled in as if they had been scraped.
        config: Its configuration.
    """
    found = programs()
    assert found is not None
    server, tool = found
    told, data, settings = folder / "told.om", folder / "data", folder / "prometheus.yml"
    told.write_text(open_metrics(series))
    settings.write_text(config or "global: {}\n")
    fill = ["tsdb", "create-blocks-from", "openmetrics", "-q", str(told), str(data)]
    subprocess.run([str(tool), *fill], check=True, capture_output=True)
    port = free_port()
    options = [
        f"--config.file={settings}", f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=200y",
        "--enable-feature=promql-at-modifier,promql-negative-offset",
    ]  # fmt: skip
    child = Child([str(server), *options], folder)
    try:
        child.wait_for(lambda: answers(port, b"HTTP/1.0 200", READY))
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
