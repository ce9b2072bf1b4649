"""An Ed25519 key in a file, and public keys of others in a folder.

Source: RFC 8032 (Ed25519), RFC 8410 (its PEM).
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from andon.adapters.durable import write_durably, write_once
from andon.kernel.errors import Untrusted
from andon.ports.store import Checkpoint

KEY, TRUSTED, NEWEST = "key.pem", "trusted", "newest.json"


class Ed25519Signer:
    """The ``Signer`` and ``Witness`` of a folder.

    Args:
        folder: Holds the private key (mode 0600, made when it is first needed), ``trusted/*.pem``
            (public keys of other workers or earlier times) and the newest checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        file = self._folder / KEY
        if not file.exists():
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_once(file, pem)  # Of two workers that start at once the first one's key counts.
        try:
            found = load_pem_private_key(file.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Untrusted(f"the ledger's key {file} cannot be read: {error}") from None
        if not isinstance(found, Ed25519PrivateKey):
            raise Untrusted(f"the ledger's key {file} is no Ed25519 key")
        return found

    @property
    def key_id(self) -> str:
        """Name of the key: the beginning of its public part's SHA-256."""
        return _id(self._private.public_key())

    def public_key(self) -> str:
        """Return the public part, as PEM."""
        public = self._private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, data: bytes) -> str:
        """Return a signature in hexadecimal digits."""
        return self._private.sign(data).hex()

    def trusts(self, key_id: str) -> bool:
        """Say whether a signature by this key would count."""
        return key_id in self._trusted()

    def is_signed(self, data: bytes, key_id: str, signature: str) -> bool:
        """Say whether a trusted key made this signature."""
        key = self._trusted().get(key_id)
        return key is not None and is_signed_by(key, data, signature)

    def _trusted(self) -> dict[str, Ed25519PublicKey]:
        keys = [self._private.public_key()]
        keys += [read_public_key(file) for file in (self._folder / TRUSTED).glob("*.pem")]
        return {_id(key): key for key in keys}

    # --- the witness -----------------------------------------------------------------------------

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint."""
        file = self._folder / NEWEST
        try:
            return msgspec.json.decode(file.read_bytes(), type=Checkpoint)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise Untrusted(f"the newest checkpoint {file} cannot be read: {error}") from None

    def remember(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""
        before = self.newest()
        if before is None or before.seq <= checkpoint.seq:
            write_durably(self._folder / NEWEST, msgspec.json.encode(checkpoint))


def is_signed_by(key: Ed25519PublicKey, data: bytes, signature: str) -> bool:
    """Say whether a key made this signature."""
    try:
        key.verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_public_key(file: Path) -> Ed25519PublicKey:
    """Read a public key.

    Raises:
        Untrusted: There is none in this file.
    """
    try:
        found = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise Untrusted(f"the public key {file} cannot be read: {error}") from None
    if not isinstance(found, Ed25519PublicKey):
        raise Untrusted(f"the public key {file} is no Ed25519 key")
    return found


def _id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]
