"""Patterns of paths: ``*`` within a folder, ``**`` over folders.

Strangers write patterns and paths, so matching takes time in proportion to their lengths, never more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

ANY_FOLDERS = "**"


def matches(pattern: str, path: str) -> bool:
    """Say whether a path, relative and with ``/``, fits a pattern.

    >>> matches("src/*.py", "src/a.py"), matches("src/*.py", "src/b/a.py")
    (True, False)
    >>> matches("src/**/*.py", "src/a.py"), matches("src/**/*.py", "src/b/c/a.py")
    (True, True)
    >>> matches("docs/**", "docs/a/b"), matches("docs/", "docs/a"), matches("docs/**", "docs")
    (True, True, False)
    """
    return _fit(_parts(pattern), path.split("/"), _fits_name)


def matches_any(patterns: Sequence[str], path: str) -> bool:
    """Say whether a path fits one of several patterns."""
    return any(matches(pattern, path) for pattern in patterns)


def fixed_part(pattern: str) -> str:
    """Return the folder that everything the pattern fits is below, or the path it only fits.

    >>> fixed_part("build/reports/*.xml"), fixed_part("a.xml"), fixed_part("**/a.xml")
    ('build/reports', 'a.xml', '')
    """
    fixed: list[str] = []
    for part in _parts(pattern):
        if "*" in part:
            break
        fixed.append(part)
    return "/".join(fixed)


def problem(pattern: str) -> str:
    """Say why a pattern fits nothing inside a tree; empty: it may.

    >>> problem("../secrets"), problem("/etc/*"), problem("a/b")
    ('leads out of the work tree', 'is not relative to the work tree', '')
    """
    if pattern.startswith("/"):
        return "is not relative to the work tree"
    if ".." in pattern.split("/"):
        return "leads out of the work tree"
    if "\0" in pattern or not pattern.strip("/. "):
        return "names no file"
    return ""


def _parts(pattern: str) -> list[str]:
    parts = [part for part in pattern.split("/")[:-1] if part not in ("", ".")]
    last = pattern.rsplit("/", 1)[-1]
    if last in ("", ANY_FOLDERS):
        return [*parts, ANY_FOLDERS, "*"]
    return [*parts, last]


def _fit(parts: Sequence[str], names: Sequence[str], fits: Callable[[str, str], bool]) -> bool:
    at = place = 0
    again: tuple[int, int] | None = None  # behind the last ``**``, and where it may reach
    while place < len(names):
        if at < len(parts) and parts[at] == ANY_FOLDERS:
            again = at, place
            at += 1
        elif at < len(parts) and fits(parts[at], names[place]):
            at, place = at + 1, place + 1
        elif again is None:
            return False
        else:  # Only the last ``**`` need ever reach further: the ones before found what they need.
            again = again[0], again[1] + 1
            at, place = again[0] + 1, again[1]
    return all(part == ANY_FOLDERS for part in parts[at:])


def _fits_name(part: str, name: str) -> bool:
    first, *rest = part.split("*")
    if not rest:
        return part == name
    if not name.startswith(first):
        return False
    at, last = len(first), rest.pop()
    for piece in rest:
        at = name.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return len(name) - at >= len(last) and name.endswith(last)
