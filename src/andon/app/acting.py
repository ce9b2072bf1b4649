"""Carries out a wish once, on the subject it was meant for, and writes down whose privilege it took."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from andon.api.v1.access import RequestSpec
from andon.api.v1.control import NewObject
from andon.api.v1.records import Empty
from andon.domains.line import events
from andon.kernel.errors import Stale, UsageError
from andon.ports.asking import Asked
from andon.ports.store import Tx

Answer = TypeVar("Answer", bound=Mapping[str, object])
SHOWN_ONCE = "secret"
"""Field of an answer that is not kept for who asks again."""


def act(
    tx: Tx,
    asked: Asked,
    now: float,
    fn: Callable[[Tx], Answer],
    *,
    subject: tuple[str, str] | None = None,
) -> Answer:
    """Do what is asked, inside the transaction that also remembers that it was done.

    Args:
        tx: A transaction.
        asked: Who asks; with a key that was seen before, the answer of then is given again.
        now: Seconds since the Unix epoch.
        fn: Does it, and returns the answer.
        subject: Kind and name of the object whose revision ``asked.expect`` means.

    Raises:
        UsageError: The key was used for another wish.
        Stale: The subject has changed since the caller looked.
    """
    name = _request_name(asked)
    if name and (earlier := tx.get("Request", name)) is not None:
        return cast(Answer, _again(earlier.spec, asked))
    if asked.expect:
        expect_revision(tx, asked, subject)
    note_privilege(tx, asked, now)
    answer = fn(tx)
    if name:
        kept = {field: value for field, value in answer.items() if field != SHOWN_ONCE}
        spec = RequestSpec(fingerprint=asked.fingerprint, answer=json.dumps(kept), at=now)
        tx.create(NewObject(kind="Request", name=name, spec=spec, status=Empty()), name, now)
    return answer


def expect_revision(tx: Tx, asked: Asked, subject: tuple[str, str] | None) -> None:
    """Refuse to change what is no longer as the caller saw it.

    Raises:
        UsageError: What is asked has no revision.
        Stale: The subject has another one.
    """
    if subject is None:
        raise UsageError("this has no revision to expect", hint="leave If-Match out")
    kind, name = subject
    found = tx.get(kind, name)
    if found is None or str(found.version) != asked.expect:
        there = f"is at revision {found.version}" if found else "is gone"
        raise Stale(
            f"{kind} {name} {there}, not at {asked.expect}: somebody changed it meanwhile",
            hint="read it again and decide anew",
        )


def note_privilege(tx: Tx, asked: Asked, now: float) -> None:
    """Write into the ledger who used a privilege for what; nothing where none was needed."""
    if not asked.operation:
        return
    event = events.extension(
        "access",
        "used",
        id=f"access/used/{tx.last_seq() + 1}",
        stream="org",
        about=asked.by,
        content={"by": asked.by, "operation": asked.operation, "via": asked.via},
    )
    tx.append(event, now)


def _request_name(asked: Asked) -> str:
    if not asked.key:
        return ""
    whose = f"{asked.by} {asked.key}"
    return f"request-{hashlib.sha256(whose.encode()).hexdigest()[:48]}"


def _again(earlier: RequestSpec, asked: Asked) -> Any:
    if earlier.fingerprint != asked.fingerprint:
        raise UsageError(
            "this Idempotency-Key was sent with another request before",
            hint="a new wish needs a new key",
        )
    return json.loads(earlier.answer)
