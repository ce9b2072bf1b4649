"""Composition root: settings, the control plane, and what it answers."""

from andon.app.compose import Settings, run_control_plane, run_worker

__all__ = ["Settings", "run_control_plane", "run_worker"]
