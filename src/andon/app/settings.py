"""What an installation is told from outside."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from andon.api.v1.installation import InstallationSpec
from andon.app.work.sweeping import KEEP_DAYS
from andon.runtime.worker import LEASE_SECONDS

JOBS_AT_ONCE = max(4, 2 * (os.cpu_count() or 1))


class Settings(Struct, frozen=True, kw_only=True):
    """What an installation is told from outside.

    Args:
        state: Folder of everything.
        database_url: ``sqlite:///...`` or ``postgresql://...``; empty: a file in the state folder.
        watch: Branches to ship by themselves: (repository, branch).
        notify: Webhooks told whenever the line stops.
        allow_internal: Internal networks and names that webhooks and subscribers may be at.
        policy_branch: Branch that rules are read from.
        lease_seconds: Within this time a dead worker's work goes on elsewhere.
        jobs_at_once: Jobs that go on at the same time, over all workers; 0: any number.
        keep_days: How long ended Changes and what belongs to them are kept; 0: for ever.
        cache_bytes: The most that caches of jobs may have together.
        archive_after_days: When events move from the database into the archive; 0: never.
        agentless: Take turns and tell people only, as the agent is on another machine.
        take_over: Become the database's home, because the former one is lost.
        installation: How Andon itself is reached, and what it relies on.
    """

    state: Path
    database_url: str = ""
    watch: tuple[tuple[str, str], ...] = ()
    notify: tuple[str, ...] = ()
    allow_internal: tuple[str, ...] = ()
    policy_branch: str = "main"
    lease_seconds: float = LEASE_SECONDS
    jobs_at_once: int = JOBS_AT_ONCE
    keep_days: float = KEEP_DAYS
    cache_bytes: int = 10 << 30
    archive_after_days: float = 0.0
    agentless: bool = False
    take_over: bool = False
    installation: InstallationSpec = InstallationSpec()
