"""What the ledger says of access: who was let in, refused, given or deprived of what."""

from __future__ import annotations

from typing import Any

from andon.api.v1.access import Grant
from andon.app.access.directory import bump
from andon.domains.line import events
from andon.ports.asking import Asked
from andon.ports.store import Tx


def note(tx: Tx, now: float, noun: str, verb: str, about: str, **content: Any) -> None:
    """Append an event to the organisation's chain.

    Args:
        tx: A writing transaction.
        now: Seconds since the Unix epoch.
        noun: ``access``, ``login`` or ``session``.
        verb: Past tense.
        about: Whom or what it is about.
        content: What else to say; never what lets anybody in.
    """
    event = events.extension(
        noun,
        verb,
        id=f"{noun}/{verb}/{tx.last_seq() + 1}",
        stream="org",
        about=about,
        content=content,
    )
    tx.append(event, now)


def note_change(tx: Tx, now: float, verb: str, about: str, asked: Asked, **content: Any) -> None:
    """Say that somebody changed who may come in; every process takes that in."""
    note(tx, now, "access", verb, about, by=asked.by, via=asked.via, **content)
    bump(tx)


def grant_text(grant: Grant) -> str:
    """Write a grant as people type it.

    >>> grant_text(Grant(role="viewer")), grant_text(Grant(role="operator", environment="prod"))
    ('viewer', 'operator@prod')
    """
    everywhere = grant.environment == "*"
    return grant.role if everywhere else f"{grant.role}@{grant.environment}"
