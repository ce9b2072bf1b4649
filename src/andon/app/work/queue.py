"""What people see of the queue, and what they may do with what was given up."""

from __future__ import annotations

from andon.api.v1 import answers
from andon.domains.line import events
from andon.kernel.errors import UsageError
from andon.ports.store import DeadLetter, PendingAction, Tx
from andon.runtime.turns import Turns

TURNS = "turns"
MOST_SHOWN = 200


def overview(tx: Tx) -> answers.Queue:
    """Say what waits, what is under way, who works, and what was given up."""
    now = tx.now()
    return {
        "paused": tx.paused(),
        "workers": workers(tx),
        "leases": [
            {"name": name, "worker": owner, "token": token, "endsIn": until - now}
            for name, owner, token, until in tx.leases()
            if not name.startswith("worker/")
        ],
        "turns": [
            {
                "subject": f"{one.kind}/{one.name}",
                "due": one.due,
                "worker": one.owner,
                "attempts": one.attempts,
            }
            for one in tx.due_tasks(now, MOST_SHOWN)
        ],
        "actions": [action_json(one) for one in tx.unfinished()[:MOST_SHOWN]],
        "deadLetters": [letter_json(one) for one in tx.dead_letters()],
    }


def troubles(tx: Tx) -> dict[str, str]:
    """Name what was given up, and subscribers that cannot be told, with the reason."""
    given_up = {
        f"{one.subject}, given up (`andon queue dead`)": one.error for one in tx.dead_letters()
    }
    untold = {
        f"subscription {one.spec.name}": one.status.error
        for one in tx.subscribers()
        if one.status.error
    }
    return given_up | untold


def workers(tx: Tx) -> list[answers.Worker]:
    """List workers: who lives, and for how long others will believe so."""
    now = tx.now()
    return [
        {"name": owner, "token": token, "alive": until > now, "leaseEndsIn": until - now}
        for name, owner, token, until in tx.leases()
        if name.startswith("worker/")
    ]


def action_json(one: PendingAction) -> answers.PendingAction:
    """Write an intent without outcome."""
    return {
        "key": one.row.key,
        "subject": f"{one.kind}/{one.name}",
        "step": one.row.step,
        "queue": one.queue,
        "worker": one.owner,
        "token": one.token,
        "askedAt": one.created_at,
    }


def letter_json(one: DeadLetter) -> answers.DeadLetter:
    """Write a dead letter."""
    return {
        "queue": one.queue,
        "subject": one.subject,
        "error": one.error,
        "attempts": one.attempts,
        "at": one.at,
    }


def retry(tx: Tx, turns: Turns, queue: str, subject: str, *, by: str) -> answers.DeadLetter:
    """Have a turn that was given up taken again.

    Raises:
        NotFound: There is no such dead letter.
        UsageError: It is an event of a subscriber, which `subscriptions retry` sends again.
    """
    if queue != TURNS:
        raise UsageError(
            f"{queue} holds events, not turns",
            hint="`andon subscriptions retry NAME` sends them again",
        )
    letter = tx.unbury(queue, subject)
    kind, _, name = subject.partition("/")
    now = tx.now()
    turns.wake(tx, tx.require(kind, name), now)
    tx.append(events.letter_handled(letter.subject, "retried", by=by, at=now), now)
    return letter_json(letter)


def drop(tx: Tx, queue: str, subject: str, *, by: str, reason: str) -> answers.DeadLetter:
    """Forget a dead letter; the ledger remembers who did.

    Raises:
        NotFound: There is no such dead letter.
        UsageError: No reason is given.
    """
    if not reason:
        raise UsageError("dropping a dead letter needs a reason", hint="--reason TEXT")
    letter = tx.unbury(queue, subject)
    now = tx.now()
    tx.append(
        events.letter_handled(f"{queue}/{subject}", "dropped", by=by, at=now, reason=reason), now
    )
    return letter_json(letter)
