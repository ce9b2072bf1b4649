"""Leaves out of an answer what belongs to environments that the caller may not see.

By what every answer has in common: a row names its ``environment``, or the ``stream`` of the ledger that
is an environment's, or has a ``scope`` with one; ``environments`` lists or maps their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Sees = Callable[[str], bool]
_STREAM = "env/"


def environment_of(row: dict[str, Any]) -> str:
    """Return the environment that a row belongs to; empty: none.

    >>> environment_of({"stream": "env/prod"}), environment_of({"scope": {"environment": "dev"}})
    ('prod', 'dev')
    """
    named = row.get("environment")
    if isinstance(named, str) and named:
        return named
    stream = row.get("stream")
    if isinstance(stream, str) and stream.startswith(_STREAM):
        return stream.removeprefix(_STREAM)
    scope = row.get("scope")
    if isinstance(scope, dict):
        return str(scope.get("environment", ""))
    return ""


def visible(value: Any, sees: Sees) -> Any:
    """Return an answer without what must not be seen; None where nothing of it may be.

    >>> visible([{"environment": "dev"}, {"environment": "prod"}], lambda name: name == "dev")
    [{'environment': 'dev'}]
    """
    if isinstance(value, list):
        return [seen for one in value if (seen := visible(one, sees)) is not None]
    if not isinstance(value, dict):
        return value
    place = environment_of(value)
    if place and not sees(place):
        return None
    return {key: _field(key, one, sees) for key, one in value.items()}


def _field(key: str, value: Any, sees: Sees) -> Any:
    if key == "environments" and isinstance(value, dict):
        return {name: one for name, one in value.items() if sees(name)}
    if key == "environments" and isinstance(value, list):
        return [name for name in value if not isinstance(name, str) or sees(name)]
    if key == "addresses" and isinstance(value, dict):
        return {name: one for name, one in value.items() if sees(name.partition("/")[0])}
    return visible(value, sees)
