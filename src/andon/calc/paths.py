"""What may be told of the path that a request asked for: no query, no identity, nothing long.

A path says which endpoint it was, and now and then who asked: an address, the token of a link that was sent
by mail. Words stay, and what tells people or secrets apart goes.
"""

from __future__ import annotations

import re

LONGEST_PATH = 160
"""Characters; the rest of a longer one is not looked at."""
MASK = "*"
_PLAIN = re.compile(r"[^!-~]")
_PERSON = re.compile(r"@|%40", re.IGNORECASE)
_ID = re.compile(r"[0-9]{5,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}", re.I)
_TOKEN = re.compile(
    r"(?=.*[0-9])(?:[A-Za-z0-9_~=-]{16,}|[A-Za-z0-9_~=-]{8,}(?:\.[A-Za-z0-9_~=-]{4,}){2})"
)
_LONG = 48
"""No word of an endpoint is longer."""


def told_path(path: str) -> str:
    """Return what of a path may be kept.

    Args:
        path: As it was asked for; a query, if there is one, is dropped.

    >>> told_path("/users/ann@example.com/orders/4711?card=1")
    '/users/*/orders/4711'
    >>> told_path("/reset/kJ8sd7f6A9sdf87aSdf"), told_path("/.env"), told_path("/a/..%2f..%2fetc/passwd")
    ('/reset/*', '/.env', '/a/..%2f..%2fetc/passwd')
    """
    plain = path.partition("?")[0].partition("#")[0]
    shown = _PLAIN.sub("?", plain[:LONGEST_PATH])
    parts = shown.split("/")
    if len(plain) > LONGEST_PATH:  # What was cut off may have been the rest of a token.
        parts[-1] = MASK
    return "/".join(map(_told, parts))


def _told(part: str) -> str:
    """Return a segment; a parameter of it (``;jsessionid=…``) is told to be there, no more."""
    word, parameter, _ = part.partition(";")
    shown = MASK if _tells_apart(word) else word
    return f"{shown};{MASK}" if parameter else shown


def _tells_apart(part: str) -> bool:
    return (
        len(part) > _LONG
        or _PERSON.search(part) is not None
        or _ID.fullmatch(part) is not None
        or _TOKEN.fullmatch(part) is not None
    )
