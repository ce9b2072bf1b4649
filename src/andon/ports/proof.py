"""What the ledger's proofs need of the outside world: a key that the database does not have, and blobs."""

from __future__ import annotations

from typing import Protocol

from andon.ports.store import Checkpoint


class Signer(Protocol):
    """A private key, and the public ones that are trusted."""

    @property
    def key_id(self) -> str:
        """Name of the key that signs."""
        ...

    def public_key(self) -> str:
        """Return its public part, as PEM."""
        ...

    def sign(self, data: bytes) -> str:
        """Return a signature in hexadecimal digits."""
        ...

    def trusts(self, key_id: str) -> bool:
        """Say whether a signature by this key would count."""
        ...

    def is_signed(self, data: bytes, key_id: str, signature: str) -> bool:
        """Say whether a trusted key made this signature."""
        ...


class Witness(Protocol):
    """The newest checkpoint, remembered outside the database."""

    def newest(self) -> Checkpoint | None:
        """Return it, or None before the first.

        Raises:
            Untrusted: What is there cannot be read.
        """
        ...

    def remember(self, checkpoint: Checkpoint) -> None:
        """Keep it durably, unless a newer one is kept."""
        ...


class BlobStore(Protocol):
    """Bytes under their digest."""

    def put(self, data: bytes) -> str:
        """Keep bytes durably; returns their digest."""
        ...

    def get(self, digest: str) -> bytes:
        """Return bytes that have this digest.

        Raises:
            NotFound: They are not there.
            Untrusted: They were altered.
        """
        ...

    def delete(self, digest: str) -> None:
        """Forget bytes, if they are there."""
        ...
