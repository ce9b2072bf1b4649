"""Actions: intents, who performs them, within which limits, and what came of them."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from andon.api.v1.actions import OBSERVATIONS, AnyAction, AnyOutcome
from andon.api.v1.control import ActionRow
from andon.kernel.errors import Fenced
from andon.ports.store import Limit, PendingAction, Place
from andon.store.buckets import Buckets
from andon.store.dialect import Connection, Row
from andon.store.tagged import Tagged

_ACTION = "a.key, a.step, a.attempt, a.body, a.outcome"
_OPEN = "a.outcome IS NULL AND a.consumed = 0"
_ALIVE = "SELECT owner FROM lease WHERE name >= 'worker/' AND name < 'worker0' AND until > ?"
_FREE = f"{_OPEN} AND (a.owner = '' OR a.owner NOT IN ({_ALIVE}))"
# Of a group only the first that has not ended may go on.
_FIRST = (
    "(a.batch = '' OR NOT EXISTS (SELECT 1 FROM action b WHERE b.batch = a.batch AND b.outcome IS"
    " NULL AND b.consumed = 0 AND (b.created_at < a.created_at OR (b.created_at = a.created_at AND"
    " (b.asked < a.asked OR (b.asked = a.asked AND b.key < a.key))))))"
)

_action = Tagged(AnyAction)
_outcome = Tagged(AnyOutcome)
_json = msgspec.json.Encoder()


class Actions(Buckets):
    """The part of a transaction that keeps intents and their outcomes."""

    _db: Connection
    news: bool

    def ask(
        self, uid: str, row: ActionRow, token: int, now: float, place: Place, owner: str = ""
    ) -> bool:
        """Commit an intent."""
        body = _json.encode(row.action).decode()
        made = self._db.change(
            "INSERT INTO action (key, uid, step, attempt, body, outcome, consumed, asked,"
            " created_at, finished_at, queue, batch, rank, owner, token)"
            " VALUES (?, ?, ?, ?, ?, NULL, 0,"
            " (SELECT COALESCE(MAX(asked), 0) + 1 FROM action WHERE uid = ?), ?, 0, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO NOTHING",
            (
                *(row.key, uid, row.step, row.attempt, body, uid, now),
                *(place.queue, place.group, now - place.ahead_seconds, owner, token),
            ),
        )
        self.news = self.news or bool(made and not owner)
        return bool(made)

    def actions(self, uid: str) -> builtins.list[ActionRow]:
        """Return an object's actions that were not consumed."""
        rows = self._db.run(
            f"SELECT {_ACTION} FROM action a WHERE a.uid = ? AND a.consumed = 0 ORDER BY a.asked",
            (uid,),
        )
        return [_action_row(row) for row in rows]

    # --- performing ------------------------------------------------------------------------------

    def take_actions(
        self, owner: str, queues: Mapping[str, Limit], now: float, limit: int
    ) -> builtins.list[PendingAction]:
        """Take intents that nobody performs, within the limits."""
        taken: builtins.list[PendingAction] = []
        if self._is_paused():
            return taken
        unlimited = sorted(name for name, most in queues.items() if most == Limit())
        if unlimited:
            taken += self._take(owner, unlimited, now, limit)
        for name, most in sorted(queues.items()):
            if most != Limit():
                room = min(limit, self._room(name, most, now))
                mine = self._take(owner, [name], now, room) if room > 0 else []
                self._spend(name, most, len(mine), now)
                taken += mine
        return taken

    def _is_paused(self) -> bool:
        return bool(self._db.run("SELECT 1 FROM setting WHERE key = 'paused'"))

    def _room(self, queue: str, most: Limit, now: float) -> int:
        room = self._allowance(queue, most, now)
        if most.at_once:
            ((busy,),) = self._db.run(
                f"SELECT COUNT(*) FROM action a WHERE a.queue = ? AND {_OPEN}"
                f" AND a.owner IN ({_ALIVE})",
                (queue, now),
            )
            room = min(room, most.at_once - busy)
        return room

    def _take(
        self, owner: str, queues: Sequence[str], now: float, limit: int
    ) -> builtins.list[PendingAction]:
        names = ", ".join("?" * len(queues))
        keys = self._db.run(
            f"SELECT a.key FROM action a WHERE a.queue IN ({names}) AND {_FREE} AND {_FIRST}"
            " ORDER BY a.rank, a.asked, a.key LIMIT ?",
            (*queues, now, limit),
        )
        if not keys:
            return []
        chosen = ", ".join("?" * len(keys))
        token, drawn = self._db.token()
        found = [key for (key,) in keys]
        self._db.change(
            f"UPDATE action SET owner = ?, token = {token} WHERE key IN ({chosen})",
            (owner, *drawn, *found),
        )
        pending = {one.row.key: one for one in self._pending(f"a.key IN ({chosen})", found)}
        return [pending[key] for key in found]

    def takeable(self, queues: Mapping[str, Limit], now: float) -> bool:
        """Say whether ``take_actions`` may find something."""
        names = ", ".join("?" * len(queues))
        return bool(
            self._db.run(
                f"SELECT 1 FROM action a WHERE a.queue IN ({names}) AND {_FREE} LIMIT 1",
                (*queues, now),
            )
        )

    def retake(self, key: str, token: int) -> int:
        """Draw a newer token for an action one performs."""
        newer, drawn = self._db.token()
        rows = self._db.run(
            f"UPDATE action SET token = {newer} WHERE key = ? AND token = ? AND outcome IS NULL"
            " RETURNING token",
            (*drawn, key, token),
        )
        if not rows:
            raise Fenced(f"{key}: another worker performs it now, or it has ended")
        return int(rows[0][0])

    def set_outcome(self, key: str, token: int, outcome: AnyOutcome, now: float) -> None:
        """Write an action's outcome, once, under the token it is performed with."""
        changed = self._db.change(
            "UPDATE action SET outcome = ?, finished_at = ?"
            " WHERE key = ? AND token = ? AND outcome IS NULL",
            (_json.encode(outcome).decode(), now, key, token),
        )
        if not changed:
            # An observation that somebody has used by now is not even there any more.
            raise Fenced(f"{key}: another worker performs it now, or it has ended")

    def consume(self, keys: Sequence[str]) -> None:
        """Put actions away; observations are of no more use."""
        if not keys:
            return
        names = ", ".join("?" * len(keys))
        found = self._db.run(f"SELECT key, body FROM action WHERE key IN ({names})", keys)
        seen = [key for key, body in found if _action.type_of(body) in OBSERVATIONS]
        used = [key for key, _ in found if key not in seen]
        for statement, some in (
            ("DELETE FROM action", seen),
            ("UPDATE action SET consumed = 1", used),
        ):
            if some:
                names = ", ".join("?" * len(some))
                self._db.change(f"{statement} WHERE key IN ({names})", some)

    def unfinished(self) -> builtins.list[PendingAction]:
        """Return all intents without outcome."""
        return self._pending(_OPEN, ())

    def action(self, key: str) -> PendingAction | None:
        """Return one action."""
        found = self._pending("a.key = ?", (key,))
        return found[0] if found else None

    def _pending(self, where: str, parameters: Sequence[Any]) -> builtins.list[PendingAction]:
        rows = self._db.run(
            f"SELECT {_ACTION}, a.uid, o.kind, o.name, a.token, a.created_at, a.owner, a.queue"
            f" FROM action a JOIN object o ON o.uid = a.uid WHERE {where}"
            " ORDER BY a.created_at, a.key",
            parameters,
        )
        return [
            PendingAction(row[5], row[6], row[7], _action_row(row[:5]), *row[8:]) for row in rows
        ]


def _action_row(row: Row) -> ActionRow:
    key, step, attempt, body, outcome = row
    return ActionRow(
        key=key,
        step=step,
        attempt=attempt,
        action=_action.decode(body),
        outcome=_outcome.decode(outcome) if outcome else None,
    )
