"""Who comes in after an older copy was restored: what was revoked since then is unknown to it."""

from __future__ import annotations

from andon.app.access.directory import ADMIN, bump, every
from andon.app.shapes import Json
from andon.ports.store import Tx


def reopen(tx: Tx, now: float) -> Json:
    """End all sessions; say which users and tokens let somebody in.

    A cookie may have been stolen, and its session ended, since the copy was made. Nobody can tell which,
    and logging in again is little to ask. The administrator's token is that of the state folder.

    Args:
        tx: A writing transaction of the restored database.
        now: Seconds since the Unix epoch.
    """
    sessions = list(every(tx, "Session"))
    for one in sessions:
        tx.forget(one)
    bump(tx)
    tokens = [one for one in every(tx, "Token") if one.name != ADMIN]
    return {
        "endedSessions": len(sessions),
        "users": sorted(one.name for one in every(tx, "User") if not one.spec.disabled),
        "tokens": sorted(
            one.name
            for one in tokens
            if not one.status.revoked_at and not 0 < one.spec.expires_at <= now
        ),
    }
