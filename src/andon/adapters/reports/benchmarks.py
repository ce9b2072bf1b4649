"""Benchmarks: pytest-benchmark, Google Benchmark, or names with seconds, as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from andon.kernel.errors import InvalidDocument

MOST_BYTES = 64 << 20
MOST_BENCHMARKS = 10_000
_LONGEST_NAME = 300
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class _Stats(Struct):
    median: float


class _OfPytest(Struct):
    stats: _Stats
    name: str = ""
    fullname: str = ""


class _OfGoogle(Struct):
    name: str
    real_time: float
    time_unit: str = "ns"
    run_name: str = ""
    run_type: str = "iteration"
    aggregate_name: str = ""
    error_occurred: bool = False


class _File(Struct):
    benchmarks: list[msgspec.Raw]


def read_benchmarks(file: BinaryIO) -> dict[str, float]:
    """Return the median duration of each benchmark, in seconds.

    Raises:
        InvalidDocument: It is none of the three.
    """
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InvalidDocument(f"is longer than {MOST_BYTES >> 20} MiB")
    try:
        found = dict(_read(data))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidDocument(
            f"is not as pytest-benchmark, Google Benchmark or {{name: seconds}} are: {error}"[:300]
        ) from None
    wrong = [name for name, value in found.items() if not (math.isfinite(value) and value >= 0)]
    if wrong or not found:
        raise InvalidDocument(f"{wrong[0]!a} is no duration" if wrong else "has no benchmark")
    if len(found) > MOST_BENCHMARKS:
        raise InvalidDocument(f"has more than {MOST_BENCHMARKS} benchmarks")
    return {name[:_LONGEST_NAME]: value for name, value in found.items()}


def _read(data: bytes) -> Iterator[tuple[str, float]]:
    about: Any = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    if "benchmarks" not in about:
        yield from msgspec.json.decode(data, type=dict[str, float]).items()
        return
    ones = msgspec.json.decode(data, type=_File).benchmarks
    if "machine_info" in about or (ones and b'"stats"' in bytes(ones[0])):
        for raw in ones:
            one = msgspec.json.decode(raw, type=_OfPytest)
            yield one.fullname or one.name, one.stats.median
    else:
        yield from _of_google([msgspec.json.decode(raw, type=_OfGoogle) for raw in ones])


def _of_google(ones: list[_OfGoogle]) -> Iterator[tuple[str, float]]:
    times: dict[str, list[float]] = {}
    medians: dict[str, float] = {}
    for one in ones:
        if one.time_unit not in _UNITS or one.error_occurred:
            said = "failed" if one.error_occurred else f"has the time unit {one.time_unit[:20]!a}"
            raise InvalidDocument(f"{one.name[:_LONGEST_NAME]!a} {said}")
        took = one.real_time * _UNITS[one.time_unit]
        if one.run_type == "iteration":
            times.setdefault(one.run_name or one.name, []).append(took)
        elif one.aggregate_name == "median":
            medians[one.run_name or one.name] = took
    yield from ({name: median(many) for name, many in times.items()} | medians).items()
