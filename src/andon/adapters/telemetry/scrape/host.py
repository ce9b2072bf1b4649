"""What the kernel says of this machine and of processes on it (``/proc``).

The names are those of Prometheus's node exporter, so that dashboards and rules made for it go on working.

Source: proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from andon.adapters.process.procfs import with_descendants
from andon.ports.telemetry import Labels, Metadata

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SECTOR_BYTES = 512
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_MEMORY = ("MemTotal", "MemAvailable", "MemFree", "Cached", "SwapTotal", "SwapFree")
_VIRTUAL = ("loop", "ram", "zram", "dm-")

FAMILIES: Mapping[str, Metadata] = {
    "node_cpu_seconds_total": Metadata("counter", "Time all processors spent in each mode."),
    "node_load1": Metadata("gauge", "Load of one minute."),
    "node_load5": Metadata("gauge", "Load of five minutes."),
    "node_load15": Metadata("gauge", "Load of fifteen minutes."),
    **{
        f"node_memory_{name}_bytes": Metadata("gauge", "As /proc/meminfo says.") for name in _MEMORY
    },
    "node_filesystem_size_bytes": Metadata("gauge", "Of a file system."),
    "node_filesystem_avail_bytes": Metadata("gauge", "What is left to users."),
    "node_network_receive_bytes_total": Metadata("counter", "By device."),
    "node_network_transmit_bytes_total": Metadata("counter", "By device."),
    "node_disk_read_bytes_total": Metadata("counter", "By device."),
    "node_disk_written_bytes_total": Metadata("counter", "By device."),
    "process_cpu_seconds_total": Metadata("counter", "Of a process and those it started."),
    "process_resident_memory_bytes": Metadata("gauge", "Of a process and those it started."),
    "process_threads": Metadata("gauge", "Of a process and those it started."),
}

Rows = list[tuple[Labels, float]]


def machine(labels: Mapping[str, str], disks: Iterable[Path]) -> Rows:
    """Read what this machine does.

    Args:
        labels: Of every series.
        disks: Folders whose file systems are told.
    """
    told = (*_processors(), *_memory(), *_network(), *_devices(), *_file_systems(disks))
    return [_row(name, {**labels, **more}, value) for name, more, value in told]


def process(pid: int, labels: Mapping[str, str]) -> Rows:
    """Read what a process and all it started use; nothing if it is gone.

    What ended processes used is part of what their parent used, so that the sum never falls.
    """
    found = [stat for one in with_descendants([pid]) if (stat := _stat(one)) is not None]
    if not found:
        return []
    ticks = sum(sum(map(int, stat[11:15])) for stat in found)
    return [
        _row("process_cpu_seconds_total", labels, ticks / TICKS),
        _row("process_resident_memory_bytes", labels, PAGE_BYTES * sum(int(s[21]) for s in found)),
        _row("process_threads", labels, float(sum(int(stat[17]) for stat in found))),
    ]


Told = tuple[str, dict[str, str], float]


def _processors() -> Iterator[Told]:
    for line in _lines("stat"):
        words = line.split()
        if words[:1] == ["cpu"]:
            for mode, ticks in zip(_MODES, words[1:], strict=False):
                yield "node_cpu_seconds_total", {"mode": mode}, int(ticks) / TICKS
    for line in _lines("loadavg"):
        for minutes, load in zip((1, 5, 15), line.split(), strict=False):
            yield f"node_load{minutes}", {}, float(load)


def _memory() -> Iterator[Told]:
    for line in _lines("meminfo"):
        name, _, rest = line.partition(":")
        if name in _MEMORY:
            yield f"node_memory_{name}_bytes", {}, 1024.0 * int(rest.split()[0])


def _network() -> Iterator[Told]:
    for line in _lines("net/dev"):
        device, colon, rest = line.partition(":")
        words = rest.split()
        if colon and len(words) >= 9:
            place = {"device": device.strip()}
            yield "node_network_receive_bytes_total", place, float(words[0])
            yield "node_network_transmit_bytes_total", place, float(words[8])


def _devices() -> Iterator[Told]:
    for line in _lines("diskstats"):
        words = line.split()
        if len(words) >= 10 and not words[2].startswith(_VIRTUAL):
            place = {"device": words[2]}
            yield "node_disk_read_bytes_total", place, float(SECTOR_BYTES * int(words[5]))
            yield "node_disk_written_bytes_total", place, float(SECTOR_BYTES * int(words[9]))


def _file_systems(disks: Iterable[Path]) -> Iterator[Told]:
    for folder in disks:
        try:
            found = os.statvfs(folder)
        except OSError:
            continue
        place = {"mountpoint": str(_mount_of(folder))}
        yield "node_filesystem_size_bytes", place, float(found.f_frsize * found.f_blocks)
        yield "node_filesystem_avail_bytes", place, float(found.f_frsize * found.f_bavail)


def _mount_of(folder: Path) -> Path:
    folder = folder.absolute()
    while folder != folder.parent and not os.path.ismount(folder):
        folder = folder.parent
    return folder


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _lines(name: str) -> list[str]:
    try:
        return (PROC / name).read_text().splitlines()
    except OSError:
        return []


def _row(name: str, labels: Mapping[str, str], value: float) -> tuple[Labels, float]:
    return tuple(sorted({**labels, "__name__": name}.items())), value
