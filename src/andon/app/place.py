"""Where the database is: what a person said at the start, else what a migration left in the state folder."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from andon.adapters.filetree import fsync_folder
from andon.kernel.errors import InvalidDocument

FILE = "database.json"
SQLITE = "control.db"

log = logging.getLogger("andon.place")


def database_of(state: Path, given: str) -> str:
    """Return the address of an installation's database.

    Args:
        state: The state folder.
        given: ``--database`` or ANDON_DATABASE_URL, which win; empty: none was given.
    """
    chosen = chosen_database(state)
    if given and chosen and given != chosen:
        log.warning(
            "this installation moved to %s, yet it is started on %s, as ANDON_DATABASE_URL or"
            " --database says; without them it would go on where it moved to",
            *(without_password(chosen), without_password(given)),
        )
    return given or chosen or str(state / SQLITE)


def chosen_database(state: Path) -> str:
    """Return the database that a migration or a restore chose; empty: none did.

    Raises:
        InvalidDocument: The file cannot be read.
    """
    file = state / FILE
    try:
        return str(json.loads(file.read_text())["url"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidDocument(
            f"{file} does not say where the database is: {error!r}",
            hint=f'write {{"url": "postgresql://…"}} there, or remove it for {SQLITE}',
        ) from None


def choose_database(state: Path, url: str) -> None:
    """Have this database used from now on; durable when it returns, and for this user only."""
    new = state / f"{FILE}.new"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"url": url}, file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(state / FILE)
    fsync_folder(state)


def without_password(url: str) -> str:
    """Return an address that may be shown and written down.

    >>> without_password("postgresql://andon:secret@db/andon?password=x&sslmode=require")
    'postgresql://andon@db/andon?sslmode=require'
    """
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    query = [(name, value) for name, value in parse_qsl(parts.query) if "pass" not in name]
    netloc = user.partition(":")[0] + at + place
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query, safe="/,=-")))
