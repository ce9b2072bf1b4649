"""Andon for programs: a typed client over HTTP, of a control plane here or elsewhere.

``from andon.client import Andon``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from andon.client.line import Andon as Andon


def __getattr__(name: str) -> Any:
    """Load the client when it is wanted: the command line does without its shapes."""
    if name != "Andon":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from andon.client.line import Andon

    return Andon
