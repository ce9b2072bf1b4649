"""What lets somebody in, as bytes: tokens and cookies, of which only digests are kept."""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import urlsafe_b64encode

from andon.kernel.clock import Randomness

PREFIX = "andon_"
SECRET_BYTES = 32
_TOKEN = re.compile(rf"{PREFIX}([A-Za-z0-9_-]{{43}})([A-Za-z0-9_-]{{6}})")
_LONGEST_COOKIE = 64


def new_token(randomness: Randomness) -> str:
    """Make a token: a prefix that scanners for leaked secrets know, 32 random bytes, and a checksum."""
    secret = new_cookie(randomness)
    return f"{PREFIX}{secret}{_checksum(secret)}"


def new_cookie(randomness: Randomness) -> str:
    """Return 32 random bytes in base64url."""
    return _text(randomness.token(SECRET_BYTES))


def is_token(text: str) -> bool:
    """Say whether a text may be a token at all: its form, and the checksum that a slip breaks.

    >>> is_token("andon_" + "A" * 49)
    False
    """
    found = _TOKEN.fullmatch(text)
    return found is not None and _checksum(found[1]) == found[2]


def digest_of(secret: str) -> str:
    """Return what is kept of a token, cookie or code: SHA-256, hexadecimal.

    32 random bytes cannot be guessed, so that neither salt nor slowness would add anything.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_cookie(text: str) -> bool:
    """Say whether a text is short enough to be looked up."""
    return 0 < len(text) <= _LONGEST_COOKIE


def _checksum(text: str) -> str:
    return _text(zlib.crc32(text.encode()).to_bytes(4, "big"))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
