"""Envelopes: AES-256-GCM with a key of its own for each value, which the installation's key seals.

What a value is for is authenticated with it, so that nobody who may write to the database can have one
secret pass for another. Changing the installation's key seals the small keys anew, not the values.

Source: NIST SP 800-38D (GCM, random 96-bit nonces).
"""

from __future__ import annotations

import hashlib
import hmac
import threading

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from andon.adapters.sealing.keys import KEY_BYTES, Key, KeySource
from andon.kernel.clock import Randomness
from andon.kernel.errors import Untrusted

NONCE_BYTES = 12


class _Sealed(Struct, frozen=True):
    """As it is kept: ``key`` names the installation's key; nonces come first in both parts."""

    format: int
    key: str
    data_key: bytes
    value: bytes


class Envelopes:
    """Seals and opens.

    Args:
        source: Of the installation's key.
        randomness: For data keys and nonces.
    """

    def __init__(self, source: KeySource, randomness: Randomness) -> None:
        self._source = source
        self._randomness = randomness
        self._keys: dict[str, Key] = {}
        self._lock = threading.Lock()

    def key(self, key_id: str) -> Key:
        """Return a key of the installation; blocks where it was not used before.

        Args:
            key_id: Its name; empty: the one to begin with, made if need be.

        Raises:
            Unavailable: It is not there.
        """
        with self._lock:
            found = self._keys.get(key_id)
            if found is None:
                found = self._source.find(key_id)
                self._keys[found.id] = found
            return found

    def take_up(self, key: Key) -> None:
        """Have a key at hand, which is the installation's from now on."""
        with self._lock:
            self._keys[key.id] = key

    def seal(self, value: str, about: str, key_id: str) -> str:
        """Seal a value.

        Args:
            value: What nobody may read.
            about: What it is for; it opens for nothing else.
            key_id: Key of the installation.
        """
        key = self.key(key_id)
        data_key = self._randomness.token(KEY_BYTES)
        sealed = _Sealed(
            format=1,
            key=key.id,
            data_key=self._encrypt(key.data, data_key, _bound(about, key.id)),
            value=self._encrypt(data_key, value.encode(), about.encode()),
        )
        return msgspec.json.encode(sealed).decode()

    def open(self, text: str, about: str) -> str:
        """Open what was sealed.

        Raises:
            Unavailable: Its key is not there.
            Untrusted: It was altered, or sealed for something else.
        """
        sealed = _read(text, about)
        data_key = _decrypt(
            self.key(sealed.key).data, sealed.data_key, _bound(about, sealed.key), about
        )
        return _decrypt(data_key, sealed.value, about.encode(), about).decode()

    def reseal(self, text: str, about: str, new: Key, old: Key | None = None) -> str:
        """Have another key seal it; the value itself is not opened.

        Args:
            text: As it is.
            about: What it is for.
            new: The key that counts from now on.
            old: The key before, where the source no longer has it.
        """
        sealed = _read(text, about)
        if sealed.key == new.id:
            return text
        before = old if old is not None and old.id == sealed.key else self.key(sealed.key)
        data_key = _decrypt(before.data, sealed.data_key, _bound(about, sealed.key), about)
        again = msgspec.structs.replace(
            sealed, key=new.id, data_key=self._encrypt(new.data, data_key, _bound(about, new.id))
        )
        return msgspec.json.encode(again).decode()

    def fingerprint(self, text: str, key_id: str) -> str:
        """Return a digest that tells nothing to who does not have the key."""
        purpose = hmac.digest(self.key(key_id).data, b"andon fingerprint", hashlib.sha256)
        return hmac.digest(purpose, text.encode(), hashlib.sha256).hex()

    def _encrypt(self, key: bytes, data: bytes, bound: bytes) -> bytes:
        nonce = self._randomness.token(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, data, bound)


def _bound(about: str, key_id: str) -> bytes:
    return f"{about}\0{key_id}".encode()


def _read(text: str, about: str) -> _Sealed:
    try:
        sealed = msgspec.json.decode(text, type=_Sealed)
    except msgspec.DecodeError:
        raise _altered(about) from None
    if sealed.format != 1:
        raise Untrusted(f"{about} was sealed by a newer Andon", hint="`andon version`")
    return sealed


def _decrypt(key: bytes, data: bytes, bound: bytes, about: str) -> bytes:
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise _altered(about) from None


def _altered(about: str) -> Untrusted:
    return Untrusted(
        f"what is sealed as {about} was altered in the database, or belongs elsewhere",
        hint="set it again: `andon secret rotate`",
    )
