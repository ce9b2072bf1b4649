"""Composition root: settings, the control plane, and what it answers.

Loaded when they are asked for: what runs without a control plane does not wait for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from andon.app.compose import run_control_plane, run_worker
    from andon.app.settings import Settings

__all__ = ["Settings", "run_control_plane", "run_worker"]

_PLACES = {
    "Settings": "andon.app.settings",
    "run_control_plane": "andon.app.compose",
    "run_worker": "andon.app.compose",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
