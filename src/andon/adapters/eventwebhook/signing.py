"""Signatures of webhooks: whoever has the secret can tell our messages from anybody else's.

Source: Standard Webhooks 1.0.0, "Signature scheme".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from andon.kernel.errors import UsageError

PREFIX = "whsec_"
SIZE_BYTES = 32
LEAST_BYTES, MOST_BYTES = 24, 64


def new_secret(entropy: bytes) -> str:
    """Write random bytes as a secret."""
    return PREFIX + base64.b64encode(entropy).decode()


def read_secret(text: str) -> bytes:
    """Return the key in a secret.

    Raises:
        UsageError: It is none, or too short to be safe.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.strip().startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise UsageError(
            f"a signing secret is {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64",
            hint="leave --secret-file out and one is made for you",
        )
    return key


def signature(secrets: Iterable[str], id: str, timestamp: str, body: bytes) -> str:
    """Sign a message with each secret; a receiver accepts it if it knows one of them.

    Args:
        secrets: The newest first.
        id: ``webhook-id`` as sent.
        timestamp: ``webhook-timestamp`` as sent.
        body: The body as sent.
    """
    signed = f"{id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{_sign(read_secret(secret), signed)}" for secret in secrets)


def _sign(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
