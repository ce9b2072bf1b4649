"""Passwords as salted scrypt hashes that carry their own parameters.

Source: RFC 7914; the parameters are those the OWASP password storage cheat sheet names for 32 MiB.
"""

from __future__ import annotations

import hmac
import unicodedata
from base64 import b64decode, b64encode

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

from andon.kernel.clock import Randomness

SALT_BYTES = 16
KEY_BYTES = 32
_SCHEME = "scrypt"


class Cost(Struct, frozen=True, kw_only=True):
    """What one guess costs.

    Args:
        log2_n: Binary logarithm of the number of blocks; 15 with ``r`` 8 fills 32 MiB.
        r: Size of a block.
        p: How often the whole is done.
    """

    log2_n: int = 15
    r: int = 8
    p: int = 3


class _Hash(Struct, frozen=True, kw_only=True):
    cost: Cost
    salt: bytes
    key: bytes


class Passwords:
    """Hashes passwords, and checks them; each call fills memory for a while, so call it on a thread.

    Args:
        randomness: Where salts come from.
        cost: Of new hashes; older ones keep theirs until the password is given again.
    """

    def __init__(self, randomness: Randomness, cost: Cost | None = None) -> None:
        self._randomness = randomness
        self._cost = cost or Cost()
        self._nobodys = _Hash(cost=self._cost, salt=bytes(SALT_BYTES), key=bytes(KEY_BYTES))

    def hash(self, password: str) -> str:
        """Return ``scrypt$<log2 n>$<r>$<p>$<salt>$<key>``."""
        salt = self._randomness.token(SALT_BYTES)
        key = _derive(password, self._cost, salt, KEY_BYTES)
        cost = self._cost
        return f"{_SCHEME}${cost.log2_n}${cost.r}${cost.p}${_text(salt)}${_text(key)}"

    def matches(self, password: str, stored: str) -> bool:
        """Say whether a password is the one of a hash.

        Args:
            password: As given.
            stored: What ``hash`` returned; empty: nobody's, which takes as long and never matches.
        """
        known = _read(stored)
        of = known or self._nobodys
        key = _derive(password, of.cost, of.salt, len(of.key))
        return hmac.compare_digest(key, of.key) and known is not None

    def veiled(self, text: str, salt: str) -> str:
        """Return what a text that depends on a password can be known again by, as dear to guess."""
        return _text(_derive(text, self._cost, salt.encode(), KEY_BYTES))

    def is_current(self, stored: str) -> bool:
        """Say whether a hash was made with the parameters of today."""
        known = _read(stored)
        return known is not None and known.cost == self._cost


def _derive(password: str, cost: Cost, salt: bytes, size: int) -> bytes:
    # The same letters typed on another keyboard may arrive as other code points.
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return Scrypt(salt=salt, length=size, n=1 << cost.log2_n, r=cost.r, p=cost.p).derive(text)


def _read(stored: str) -> _Hash | None:
    scheme, *fields = stored.split("$")
    if scheme != _SCHEME or len(fields) != 5:
        return None
    try:
        log2_n, r, p = (int(field) for field in fields[:3])
        salt, key = (b64decode(field, validate=True) for field in fields[3:])
    except ValueError:
        return None
    return _Hash(cost=Cost(log2_n=log2_n, r=r, p=p), salt=salt, key=key)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
