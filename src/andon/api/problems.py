"""Problems in documents: what was found, where, what was expected and the nearest known name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from andon.kernel.errors import InvalidDocument

Path = tuple[str | int, ...]
"""Where a value is in its document: mapping keys and list indices from the root."""

_SHOWN_CHARACTERS = 60


class Problem(Struct, frozen=True, kw_only=True):
    """One thing wrong in a file; lines and columns count from 1, 0 means unknown."""

    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Write ``file:line:column: field: message`` and the hint on a line of its own."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        said = ": ".join(part for part in (place, self.field, self.message) if part)
        return f"{said}\n    {self.hint}" if self.hint else said


def invalid(problems: Sequence[Problem]) -> InvalidDocument:
    """Return the exception that lists every problem."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "\n".join(f"  {problem}" for problem in problems)
    return InvalidDocument(
        f"{count} in the documents:\n{listed}", hint="correct them, then: andon validate"
    )


def field_name(path: Path) -> str:
    """Write a path as people do.

    >>> field_name(("spec", "rollout", "steps", 1, "weight"))
    'spec.rollout.steps[1].weight'
    """
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            shown = part if part.replace("-", "").replace("_", "").isalnum() else shorten(part)
            written += f".{shown}" if written else shown
    return written


def shorten(value: object) -> str:
    r"""Write a value in double quotes on one line of bounded length, without control characters.

    >>> shorten("two\nlines")
    '"two\\nlines"'
    """
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    cut = f"{text[:_SHOWN_CHARACTERS]}…" if len(text) > _SHOWN_CHARACTERS else text
    return f'"{cut}"'


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant.

    >>> nearest("replcas", ["replicas", "needs"]), nearest("timeout_seconds", ["timeoutSeconds"])
    ('replicas', 'timeoutSeconds')
    """
    plain = {_plain(candidate): candidate for candidate in sorted(known)}
    import difflib  # only where something is wrong

    close = difflib.get_close_matches(_plain(name[:100]), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], what: str = "known") -> str:
    """Return the hint for an unknown name: the nearest one, or all of them if they are few."""
    names = sorted(known)
    meant = nearest(name, names)
    if meant:
        return f"did you mean `{meant}`?"
    if not names:
        return ""
    some = ", ".join(f"`{known_name}`" for known_name in names[:12])
    return f"{what}: {some}{', …' if len(names) > 12 else ''}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
