"""Attributes as texts, so many and so long."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from andon.api.v1.spans import ENVIRONMENT

MOST_ATTRIBUTES = 128
LONGEST_NAME, LONGEST_VALUE = 256, 4096
UNKNOWN_SERVICE = "unknown_service"
_ENVIRONMENT_BEFORE = "deployment.environment"


def read_attributes(pairs: Sequence[Any], most: int = MOST_ATTRIBUTES) -> dict[str, str]:
    """Return attributes by name; the first so many.

    Args:
        pairs: ``KeyValue`` messages.
        most: How many.
    """
    if len(pairs) > most:
        pairs = pairs[:most]
    # Nearly all are texts, and short: all at once is half the time.
    found = {pair.key: pair.value.string_value for pair in pairs}
    texts = found.values()
    if "" in texts:
        found = {pair.key: pair.value.string_value or read_value(pair.value) for pair in pairs}
        texts = found.values()
    if len("".join(texts)) > LONGEST_VALUE or len("".join(found)) > LONGEST_NAME:
        return {key[:LONGEST_NAME]: text[:LONGEST_VALUE] for key, text in found.items()}
    return found


def environment_of(about: dict[str, str]) -> str:
    """Return the environment that a resource says it is in; empty: none."""
    return about.get(ENVIRONMENT, "") or about.get(_ENVIRONMENT_BEFORE, "")


def read_value(value: Any) -> str:
    """Return an ``AnyValue`` as a text; lists and maps as JSON."""
    which = value.WhichOneof("value")
    if which is None:
        return ""
    if which == "string_value":
        return str(value.string_value)
    if which == "bool_value":
        return "true" if value.bool_value else "false"
    if which == "int_value":
        return str(value.int_value)
    if which == "double_value":
        return repr(value.double_value)
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if which == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, which) if which else None
