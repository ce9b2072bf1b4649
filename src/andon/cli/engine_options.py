"""Options of whatever works on an installation: `andon up` and `andon worker` must be told the same."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from andon.kernel.duration import parse_duration
from andon.kernel.errors import UsageError

SHORTEST_LEASE_SECONDS = 0.5

_OPTIONS = (
    click.option(
        "--config",
        metavar="FILE",
        default="",
        envvar="ANDON_CONFIG",
        help="Installation document: TLS, logins, the secrets' key, mail.",
    ),
    click.option(
        "--database",
        "database_url",
        default="",
        envvar="ANDON_DATABASE_URL",
        metavar="URL",
        help="postgresql://… instead of SQLite (or $ANDON_DATABASE_URL, which others cannot see).",
    ),
    click.option(
        "--lease",
        default="10s",
        show_default=True,
        envvar="ANDON_LEASE",
        help="Within this time a dead worker's work goes on elsewhere.",
    ),
    click.option(
        "--jobs",
        "jobs_at_once",
        type=int,
        default=None,
        help="Jobs at the same time over all workers; default: two a core, 0: any number.",
    ),
    click.option(
        "--allow-internal",
        multiple=True,
        envvar="ANDON_ALLOW_INTERNAL",
        metavar="PATTERN",
        help="Network or name inside your own net that webhooks and subscribers may be at.",
    ),
    click.option(
        "--archive-after-days",
        type=click.FloatRange(min=0),
        default=0.0,
        envvar="ANDON_ARCHIVE_AFTER_DAYS",
        help="Move older events into the ledger's archive by itself; 0, as without it: never.",
    ),
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it gets them as ``engine``, arguments of ``Settings``."""

    @functools.wraps(command)
    def collected(
        *given: Any,
        config: str,
        database_url: str,
        lease: str,
        jobs_at_once: int | None,
        allow_internal: tuple[str, ...],
        archive_after_days: float,
        **more: Any,
    ) -> Any:
        engine = {
            "installation": installation(config),
            "database_url": database(database_url),
            "lease_seconds": seconds(lease),
            "jobs_at_once": jobs(jobs_at_once),
            "allow_internal": allow_internal,
            "archive_after_days": archive_after_days,
        }
        return command(*given, engine=engine, **more)

    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def installation(config: str) -> Any:
    """Read the Installation document; its defaults without one.

    Raises:
        NotFound: There is no such file.
        InvalidDocument: Something in it is wrong.
    """
    from andon.api.v1.installation import InstallationSpec
    from andon.app.configuration import load_installation

    return load_installation(Path(config)) if config else InstallationSpec()


def seconds(lease: str) -> float:
    """Read the time within which a dead worker's work goes on elsewhere.

    Raises:
        UsageError: It is no duration, or one that no clock keeps.
    """
    try:
        value = parse_duration(lease)
    except ValueError as error:
        raise UsageError(str(error), hint="--lease 10s") from None
    if value < SHORTEST_LEASE_SECONDS:
        raise UsageError(
            f"a lease of {lease} is too short to renew", hint=f"{SHORTEST_LEASE_SECONDS:g}s or more"
        )
    return value


def database(url: str) -> str:
    """Return the address of a database; a slip in it must not begin an empty one somewhere.

    Raises:
        UsageError: It is neither an address nor a file that exists.
    """
    is_address = url.startswith(("postgresql://", "postgres://", "sqlite://"))
    if url and not is_address and not os.path.isfile(url):
        raise UsageError(
            "the address of the database is none of Postgres",
            hint="--database or ANDON_DATABASE_URL: postgresql://…; without it SQLite is used",
        )
    return url


def jobs(wanted: int | None) -> int:
    """Return how many jobs go on at once."""
    from andon.app.settings import JOBS_AT_ONCE

    if wanted is not None and wanted < 0:
        raise UsageError(f"--jobs {wanted}: fewer than none", hint="0 stands for any number")
    return JOBS_AT_ONCE if wanted is None else wanted
