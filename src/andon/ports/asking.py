"""Who asks for something to be done, and how it is to be counted."""

from __future__ import annotations

from msgspec import Struct


class Asked(Struct, frozen=True, kw_only=True):
    """A wish, as it came in.

    Args:
        by: Who: ``person:ann``, ``service:ci``, ``watch``.
        teams: Names of the teams of who asks.
        emails: Addresses that commits of who asks are known by.
        operation: Name of the operation where it needs a privilege (to operate or to administer):
            then the act is an event of its own in the ledger. Empty: none.
        via: What let them in.
        key: ``Idempotency-Key``; the same wish with the same key is carried out once.
        fingerprint: Digest of the whole request, which tells another wish with the same key.
        expect: ``If-Match``: the revision that the subject must still have; empty: any.
    """

    by: str
    teams: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    operation: str = ""
    via: str = ""
    key: str = ""
    fingerprint: str = ""
    expect: str = ""
