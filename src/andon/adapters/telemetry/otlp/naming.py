"""Names of OpenTelemetry as Prometheus has them.

Source: OpenTelemetry specification, "Prometheus and OpenMetrics compatibility"; Prometheus's translation with
underscores and suffixes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds",
    "us": "microseconds", "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes",
    "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tebibytes", "KBy": "kilobytes",
    "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes", "m": "meters", "V": "volts",
    "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz",
    "%": "percent",
}  # fmt: skip
_PER = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
_BRACES = re.compile(r"\{[^}]*\}")
_NO_NAME = re.compile(r"[^a-zA-Z0-9:]+")
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")
SHARES = "ratio"


@lru_cache(maxsize=4096)
def metric_name(name: str, unit: str, *, counter: bool = False, gauge: bool = False) -> str:
    """Return a metric's name.

    Args:
        name: As OpenTelemetry has it.
        unit: In UCUM.
        counter: It only grows.
        gauge: It is what it is now.

    >>> metric_name("http.server.request.duration", "s")
    'http_server_request_duration_seconds'
    >>> metric_name("system.io", "By", counter=True), metric_name("cpu.used", "1", gauge=True)
    ('system_io_bytes_total', 'cpu_used_ratio')
    >>> metric_name("pace", "m/s"), metric_name("3d.calls", "{call}", counter=True)
    ('pace_meters_per_second', '_3d_calls_total')
    """
    words = [word for word in _NO_NAME.split(name) if word]
    words += [word for word in unit_words(unit) if word not in words]
    if gauge and unit == "1":
        words = [word for word in words if word != SHARES] + [SHARES]
    if counter:
        words = [word for word in words if word != "total"] + ["total"]
    found = "_".join(words) or "_"
    return f"_{found}" if found[0].isdigit() else found


def unit_words(unit: str) -> list[str]:
    """Return a unit's words.

    >>> unit_words("By/s"), unit_words("{request}"), unit_words("1")
    (['bytes', 'per', 'second'], [], [])
    """
    bare = _BRACES.sub("", unit).strip()
    over, _, under = bare.partition("/")
    words = [] if over in ("", "1") else _NO_NAME.split(_UNITS.get(over, over))
    if under:
        words += ["per", *_NO_NAME.split(_PER.get(under, under))]
    return [word for word in words if word]


@lru_cache(maxsize=4096)
def label_name(name: str) -> str:
    """Return a label's name.

    >>> label_name("http.route"), label_name("2xx")
    ('http_route', 'key_2xx')
    """
    found = _NO_LABEL.sub("_", name)
    return f"key_{found}" if not found or found[0].isdigit() else found


def labelled(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return labels; the values of names that become the same are joined.

    >>> labelled([("a.b", "1"), ("a_b", "2")])
    {'a_b': '1;2'}
    """
    found: dict[str, str] = {}
    for name, value in sorted(pairs):
        label = label_name(name)
        found[label] = f"{found[label]};{value}" if label in found else value
    return found
