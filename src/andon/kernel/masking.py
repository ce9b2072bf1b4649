"""Keeps secrets out of what is printed, as it is printed.

A secret is found as it is, in base64 (both alphabets, anywhere inside a longer text, wrapped as usual), in
hexadecimal, and through the escapes of ``andon.kernel.escapes``; split over chunks in any way. Of base64
that began before the secret or goes on after it, the two characters at the seams stay: they carry at most
four bits of the secret's first and of its last byte.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from andon.kernel.escapes import View, views

SHORTEST_SECRET = 6
"""Bytes that a secret must have: of a shorter one, masking would eat ordinary words."""

MASK = b"***"

_SHORTEST_LINE = 8
_FEWEST_LETTERS = 5
_SHORTEST_PATTERN = 4
_BASE64_WIDTHS = (64, 76)
_HEAD_BYTES = 4

_LINE_END = re.compile(rb"\r\n|\n|\r|\\r\\n|\\n")
_PASSWORD_IN_URL = re.compile(rb"[a-z][a-z0-9+.-]*://[^\s:/@]*:([^\s/]+)@", re.I)


class Masker:
    """Replaces secrets in a stream by ``***``.

    Only what may still turn out to be a secret's beginning is held back; text passes at once otherwise.

    Args:
        secrets: The values; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str | bytes]) -> None:
        found = {pattern for secret in secrets for pattern in patterns(secret)}
        self._patterns = sorted(found)
        self._longest = max(map(len, found), default=0)
        self._by_head: dict[bytes, list[bytes]] = {}
        for pattern in self._patterns:
            self._by_head.setdefault(pattern[:_HEAD_BYTES], []).append(pattern)
        self._beginnings = {p[:n] for p in found for n in range(1, min(_HEAD_BYTES, len(p)))}
        self._held = b""
        self._masked = 0  # So many bytes of what is held are told already, as a mask.

    def feed(self, chunk: bytes) -> bytes:
        """Take in what was printed; return what can be told."""
        self._held += chunk
        seen = list(views(self._held))
        return self._tell(seen, self._keep_from(seen))

    def close(self) -> bytes:
        """Return the rest: nothing follows."""
        return self._tell(list(views(self._held)), len(self._held))

    def _tell(self, seen: list[View], until: int) -> bytes:
        told: list[bytes] = []
        at = masked = self._masked
        for start, end in sorted(self._secrets(seen)):
            if masked and start < masked:
                at = masked = max(masked, end)
            elif start < until:
                told += self._held[at:start], MASK
                at = masked = end
        told.append(self._held[at:until])
        self._held = self._held[until:]
        self._masked = max(0, masked - until)
        return b"".join(told)

    def _secrets(self, seen: list[View]) -> Iterator[tuple[int, int]]:
        for view in seen:
            for pattern in filter(view.text.__contains__, self._patterns):
                for start, end in _stretches(view.text, pattern):
                    yield view.start(start), view.end(end)

    def _keep_from(self, seen: list[View]) -> int:
        """Return where that begins which may be part of a secret not ended yet."""
        keep = min(view.start(self._open(view.text)) for view in seen)
        while (lower := min(view.floor(keep) for view in seen)) < keep:
            keep = lower
        return keep

    def _open(self, text: bytes) -> int:
        """Return where the longest end of a text begins that is a beginning of a pattern."""
        size = len(text)
        for at in range(max(0, size - self._longest + 1), size - _HEAD_BYTES + 1):
            for pattern in self._by_head.get(text[at : at + _HEAD_BYTES], ()):
                if len(pattern) > size - at and text.startswith(pattern[: size - at], at):
                    return at
        lengths = range(min(_HEAD_BYTES - 1, size), 0, -1)
        return size - next((n for n in lengths if text[-n:] in self._beginnings), 0)


def _stretches(text: bytes, pattern: bytes) -> Iterator[tuple[int, int]]:
    """Find the stretches that are covered by a pattern, over and over itself if need be."""
    start = text.find(pattern)
    while start >= 0:
        last, end = start, start + len(pattern)
        while (last := text.rfind(pattern, last + 1, end + len(pattern) - 1)) >= 0:
            end = last + len(pattern)
        yield start, end
        start = text.find(pattern, end)


def patterns(secret: str | bytes) -> set[bytes]:
    """Return what to look for, in text without escapes, to find a secret or a telling part of it."""
    whole = secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret
    texts = {whole.strip() or whole, *_telling_lines(whole), *_passwords(whole)} - {b""}
    return texts | {
        form for text in texts for form in _forms(text) if len(form) >= _SHORTEST_PATTERN
    }


def _telling_lines(whole: bytes) -> Iterator[bytes]:
    for line in _LINE_END.split(whole):
        text = line.strip()
        telling = len(text) >= _SHORTEST_LINE and len(set(text)) >= _FEWEST_LETTERS
        if telling and not text.startswith(b"-----"):  # A key's frame is no secret.
            yield text


def _passwords(whole: bytes) -> Iterator[bytes]:
    for password in _PASSWORD_IN_URL.findall(whole):
        if len(password) >= SHORTEST_SECRET:
            yield from (password, *(view.text for view in views(password)))


def _forms(text: bytes) -> Iterator[bytes]:
    yield text.replace(b" ", b"+")  # As forms in URLs spell it.
    yield text.replace(b"\r\n", b"\n")
    yield text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield text.hex().encode()
    yield text.hex().upper().encode()
    for form in _base64_forms(text):
        yield form
        yield form.replace(b"+", b"-").replace(b"/", b"_")


def _base64_forms(text: bytes) -> Iterator[bytes]:
    """Spell a text in base64, after 0, 1 or 2 bytes of something else, going on or ending there."""
    for before, unsure in enumerate((0, 2, 3)):
        ending = base64.b64encode(bytes(before) + text).rstrip(b"=")[unsure:]
        going_on = ending[:-1] if (before + len(text)) % 3 else ending
        yield ending
        yield going_on
        if before == 0:
            for width in _BASE64_WIDTHS:
                lines = [going_on[at : at + width] for at in range(0, len(going_on), width)]
                yield b"\n".join(lines)
                yield b"\r\n".join(lines)
