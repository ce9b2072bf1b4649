"""Digests and the canonical bytes they are taken over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Any) -> bytes:
    """Encode JSON so that equal values give equal bytes.

    Sorted keys, no white space, UTF-8; floats as Python prints them (the shortest that round-trips).

    >>> canonical_json({"b": 1, "a": [0.1, None]})
    b'{"a":[0.1,null],"b":1}'
    """
    return _ENCODER.encode(value).encode()


def sha256(data: bytes) -> str:
    """Return the OCI-style digest of bytes.

    >>> sha256(b"")[:19]
    'sha256:e3b0c44298fc'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the identity of a configuration: 12 hex digits over its canonical JSON.

    Args:
        config: Everything besides the artifact that shapes what runs (values, command, replicas...).

    >>> config_hash({"THEME": "dark"}) == config_hash({"THEME": "dark"})
    True
    """
    return hashlib.sha256(canonical_json(config)).hexdigest()[:12]


def short(digest: str) -> str:
    """Return the part of a digest or commit that people read.

    >>> short("sha256:0123456789abcdef")
    '0123456789ab'
    """
    return digest.removeprefix("sha256:")[:12]
