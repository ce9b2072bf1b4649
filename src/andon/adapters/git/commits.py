"""Reads raw commit objects (gitformat: headers, an empty line, the message)."""

from __future__ import annotations

import re

from msgspec import Struct

from andon.ports import Commit

_CONTROL = re.compile(
    r"[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What moves a terminal's cursor, turns the direction of text, ends a line unseen, or is no text."""
_LONGEST_MESSAGE, _LONGEST_NAME = 10_000, 300
_LAST_MOMENT = 253_402_300_799
"""End of the year 9999, in seconds."""


class RawCommit(Struct, frozen=True, kw_only=True):
    """A commit's parts."""

    tree: str
    parents: tuple[str, ...]
    author: str
    committer: str
    committed_at: float
    message: str

    def as_commit(self, sha: str) -> Commit:
        """Return it as the port says it: whoever wrote it, people can be shown it."""
        return Commit(
            sha=sha,
            author=_CONTROL.sub(" ", self.author)[:_LONGEST_NAME],
            committer=_CONTROL.sub(" ", self.committer)[:_LONGEST_NAME],
            message=_CONTROL.sub(" ", self.message).strip()[:_LONGEST_MESSAGE],
            committed_at=self.committed_at,
            parents=self.parents,
        )


def parse_commit(raw: bytes) -> RawCommit:
    r"""Read a commit object.

    >>> parse_commit(b"tree 1\nparent 2\nauthor A <a@b> 5 +0000\ncommitter C <c@d> 7 +0100\n\nHi\n").message
    'Hi'
    """
    head, _, message = raw.partition(b"\n\n")
    headers: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        headers.setdefault(name, []).append(value)
    encoding = _first(headers, b"encoding").decode("ascii", "replace") or "utf-8"
    return RawCommit(
        tree=_first(headers, b"tree").decode(),
        parents=tuple(parent.decode() for parent in headers.get(b"parent", [])),
        author=_person(_decoded(_first(headers, b"author"), encoding)),
        committer=_person(_decoded(_first(headers, b"committer"), encoding)),
        committed_at=_seconds(_first(headers, b"committer")),
        message=_decoded(message, encoding).strip(),
    )


def trailers(message: str) -> dict[str, str]:
    r"""Read the ``Name: value`` lines of a message's last paragraph.

    >>> trailers("Why\n\nBody: no\n\nEpoch: 3\nIdempotency-Key: u/1/s/0")
    {'Epoch': '3', 'Idempotency-Key': 'u/1/s/0'}
    """
    pairs = (line.partition(": ") for line in message.rpartition("\n\n")[2].splitlines())
    return {name: value for name, separator, value in pairs if separator}


def _first(headers: dict[bytes, list[bytes]], name: bytes) -> bytes:
    return headers.get(name, [b""])[0]


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding, "replace")
    except (LookupError, ValueError, AssertionError):  # no encoding, or one that reads no text
        return data.decode("utf-8", "replace")


def _person(line: str) -> str:
    return line[: line.rfind(">") + 1] or line


def _seconds(line: bytes) -> float:
    words = line.rpartition(b">")[2].split()
    try:
        said = int(words[0])
    except (IndexError, ValueError):
        return 0.0
    return float(said) if 0 <= said <= _LAST_MOMENT else 0.0
