"""What this machine allows, found out by trying it; ``andon doctor`` prints it."""

from __future__ import annotations

import os

from msgspec import Struct

from andon.adapters.process import cgroups, sandbox


class Capabilities(Struct, frozen=True, kw_only=True):
    """What this machine allows.

    Args:
        bubblewrap: Jobs run in a sandbox.
        cgroups: ``v1``, ``v2``, ``hybrid`` or ``none``.
        controllers: Limits that work, such as ``memory``.
        overlay: Work trees share unchanged files through overlay mounts (not built yet).
    """

    bubblewrap: bool
    cgroups: str
    controllers: tuple[str, ...]
    overlay: bool = False


def describe(groups: cgroups.Cgroups, *, bubblewrap: bool) -> Capabilities:
    """Say what was found."""
    return Capabilities(
        bubblewrap=bubblewrap, cgroups=groups.backend, controllers=groups.controllers
    )


def capabilities() -> Capabilities:
    """Find out what this machine allows, leaving nothing behind."""
    groups = cgroups.detect(f"andon-doctor-{os.getpid()}")
    groups.close()
    return describe(groups, bubblewrap=sandbox.works())
