"""Names with a number, one after the other."""

from __future__ import annotations

from andon.ports.store import Tx


def next_name(tx: Tx, prefix: str) -> str:
    """Return the next name of its sort, such as ``hold-3``."""
    number = int(tx.get_setting(f"number:{prefix}") or "0") + 1
    tx.put_setting(f"number:{prefix}", str(number))
    return f"{prefix}-{number}"
