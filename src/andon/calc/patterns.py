"""Regular expressions of RE2: what they match is found in linear time, whoever wrote them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1024)
def whole(pattern: str) -> Any:
    """Compile a pattern that is to match whole texts (``fullmatch``), as Prometheus reads it.

    Args:
        pattern: Syntax of RE2; a dot matches newlines, too.

    Raises:
        ValueError: It is no pattern.

    >>> bool(whole("a.*").fullmatch("abc")), bool(whole("a").fullmatch("abc"))
    (True, False)
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0] if error.args else ""
        why = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise ValueError(f"{pattern!r} is no regular expression: {why}") from None
