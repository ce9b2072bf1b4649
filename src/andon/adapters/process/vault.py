"""What the agent keeps of secrets, to start a replica again without the control plane: sealed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from andon.adapters.process.files import unwritable
from andon.kernel.errors import Unavailable

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Vault:
    """Seals values under a key of this host's own.

    Args:
        file: The key, for the agent's user only; made when it is first needed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def seal(self, subject: str, values: Mapping[str, str]) -> bytes:
        """Seal values, so that only this vault opens them and only for this subject.

        Raises:
            Unavailable: The key can be neither read nor made.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # Not before it is needed.

        nonce = os.urandom(_NONCE_BYTES)
        text = msgspec.json.encode(dict(values))
        return nonce + AESGCM(self._key()).encrypt(nonce, text, subject.encode())

    def unseal(self, subject: str, sealed: bytes) -> dict[str, str]:
        """Open what was sealed for a subject.

        Raises:
            Unavailable: It was damaged, or the key was lost.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            opened = AESGCM(self._key()).decrypt(nonce, text, subject.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to be anything.
            raise Unavailable(
                f"the secrets of {subject} cannot be opened with {self._file}",
                hint="the next rollout brings them anew; what runs goes on running",
            ) from None
        return msgspec.json.decode(opened, type=dict[str, str])

    def _key(self) -> bytes:
        try:
            if not self._file.exists():
                self._make()
            key = self._file.read_bytes()
        except OSError as error:
            raise unwritable(self._file, error) from error
        if len(key) != _KEY_BYTES:
            raise Unavailable(
                f"the key {self._file} is damaged",
                hint="remove it; the next rollout of each service brings its secrets anew",
            )
        return key

    def _make(self) -> None:
        made = self._file.with_name(f"{self._file.name}.new")
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        made.replace(self._file)
