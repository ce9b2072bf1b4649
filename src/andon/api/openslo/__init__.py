"""OpenSLO v1: documents read, checked, understood and written."""

from __future__ import annotations

from collections.abc import Mapping


def is_openslo(value: object) -> bool:
    """Say whether a value read from YAML means to be OpenSLO, of whatever version.

    >>> is_openslo({"apiVersion": "openslo/v1"}), is_openslo([{"apiVersion": "andon/v1"}])
    (True, False)
    """
    if isinstance(value, list):
        return bool(value) and all(map(is_openslo, value))
    version = value.get("apiVersion") if isinstance(value, Mapping) else None
    return isinstance(version, str) and version.startswith("openslo")
