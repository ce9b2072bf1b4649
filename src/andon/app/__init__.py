"""Composition root: settings, the control plane, and what it answers."""

from andon.app.compose import run_control_plane, run_worker
from andon.app.settings import Settings

__all__ = ["Settings", "run_control_plane", "run_worker"]
