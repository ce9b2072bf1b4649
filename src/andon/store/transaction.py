"""Everything that happens inside one transaction."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

import msgspec
from msgspec.structs import replace

from andon.api.v1.control import NewObject, Selector
from andon.api.v1.kinds import RECORDS
from andon.api.v1.records import Object, StepRow
from andon.api.v1.steps import Steps
from andon.kernel.clock import Clock
from andon.kernel.errors import Conflict, NotFound, UsageError
from andon.store.actions import Actions
from andon.store.dialect import Connection, Row
from andon.store.events import Events
from andon.store.leases import Leases
from andon.store.memo import Memo, Specs
from andon.store.subscribers import Subscribers
from andon.store.tail import Tail
from andon.store.tasks import Tasks

_HEAD = "o.uid, o.kind, o.name, o.generation, o.version, o.status, o.labels, o.created_at"
_SPECS_AT_ONCE = 200
_step = msgspec.json.Decoder(StepRow)
_labels = msgspec.json.Decoder(dict[str, str])


@cache
def _spec_of(kind: str) -> msgspec.json.Decoder[Any]:
    """Return what reads the specs of a kind; made when the first one is read."""
    return msgspec.json.Decoder(RECORDS[kind][0])


@cache
def _status_of(kind: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(RECORDS[kind][1])


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Transaction(Tasks, Actions, Leases, Subscribers, Events):
    """The ``Tx`` of ``andon.ports.store`` over a connection.

    Args:
        connection: Inside a transaction already.
        source: CloudEvents source of this installation.
        tail: Ends of the chains within this database transaction.
        clock: The time; None: the database's own.
        memo: What is remembered from transaction to transaction.
    """

    def __init__(
        self,
        connection: Connection,
        source: str,
        tail: Tail,
        clock: Clock | None = None,
        memo: Memo | None = None,
    ) -> None:
        self._db = connection
        self._memo = memo or Memo(Specs())
        self._source = source
        self._tail = tail
        self._clock = clock
        self.news = False
        """Whether anybody should be told after the commit."""

    def now(self) -> float:
        """Return the time leases go by."""
        return self._clock.now() if self._clock else self._db.clock()

    # --- objects ---------------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, or None."""
        rows = self._db.run(
            f"SELECT {_HEAD} FROM object o WHERE o.kind = ? AND o.name = ?",
            (kind, name),
        )
        return self._object(rows[0]) if rows else None

    def require(self, kind: str, name: str) -> Object:
        """Return an object, or say which names come near."""
        found = self.get(kind, name)
        if found is not None:
            return found
        rows = self._db.run("SELECT name FROM object WHERE kind = ? LIMIT 1000", (kind,))
        import difflib

        near = difflib.get_close_matches(name, [row[0] for row in rows], 3, 0.4)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else "`andon status` shows what there is"
        )
        raise NotFound(f"there is no {kind} {name}", hint=hint)

    def list(
        self, selector: Selector, *, limit: int = 1000, after: str = "", newest_first: bool = False
    ) -> builtins.list[Object]:
        """Return the objects a selector matches."""
        joins, parameters = [], []
        for number, (key, value) in enumerate(sorted(selector.labels.items())):
            one = f"l{number}"
            joins.append(
                f"JOIN label {one} ON {one}.uid = o.uid AND {one}.kind = ? AND {one}.key = ?"
                f" AND {one}.value = ?"
            )
            parameters += [selector.kind, key, value]
        where = ["o.kind = ?"]
        parameters.append(selector.kind)
        if selector.name:
            where.append("o.name = ?")
            parameters.append(selector.name)
        # In the order of the first label's index: else those of a kind are looked through one by one.
        uid = "l0.uid" if selector.labels else "o.uid"
        if after:
            where.append(f"{uid} {'<' if newest_first else '>'} ?")
            parameters.append(after)
        order = "DESC" if newest_first else "ASC"
        rows = self._db.run(
            f"SELECT {_HEAD} FROM object o {' '.join(joins)} WHERE {' AND '.join(where)}"
            f" ORDER BY {uid} {order} LIMIT ?",
            (*parameters, limit),
        )
        found: builtins.list[Object] = []
        for start in range(0, len(rows), _SPECS_AT_ONCE):
            page = rows[start : start + _SPECS_AT_ONCE]
            texts = self._unknown_specs(page)
            found += [self._object(row, texts.get(row[0], "")) for row in page]
        return found

    def _unknown_specs(self, rows: Sequence[Row]) -> dict[str, str]:
        """Load the texts of the specs, which may be long, that are not known yet."""
        new = [row[0] for row in rows if self._memo.specs.get(row[0], row[3]) is None]
        if not new:
            return {}
        places = ", ".join("?" * len(new))
        return dict(self._db.run(f"SELECT uid, spec FROM object WHERE uid IN ({places})", new))

    def _object(self, row: Row, spec: str = "") -> Object:
        seen = self._memo.seen
        if seen is None:
            return self._decoded(row, spec)
        found = seen.get(row[0], tuple(row))
        if found is None:
            found = self._decoded(row, spec)
            seen.keep(row[0], tuple(row), found)
        return found

    def _decoded(self, row: Row, spec: str) -> Object:
        uid, kind, name, generation, version, status, labels, created_at = row
        known = self._memo.specs.get(uid, generation)
        if known is None:
            text = spec or self._db.run("SELECT spec FROM object WHERE uid = ?", (uid,))[0][0]
            known = _spec_of(kind).decode(text)
            self._memo.specs.keep(uid, generation, known, len(text))
        return Object(
            kind=kind,
            name=name,
            uid=uid,
            spec=known,
            status=_status_of(kind).decode(status),
            generation=generation,
            version=version,
            labels=_labels.decode(labels),
            created_at=created_at,
        )

    def create(self, new: NewObject, uid: str, now: float) -> tuple[Object, bool]:
        """Create an object unless there is one."""
        if new.kind not in RECORDS:
            raise UsageError(f"there is no kind {new.kind}", hint=f"known: {', '.join(RECORDS)}")
        made = self._db.change(
            "INSERT INTO object (uid, kind, name, generation, version, spec, status, labels,"
            " created_at) VALUES (?, ?, ?, 1, 1, ?, ?, ?, ?) ON CONFLICT (kind, name) DO NOTHING",
            (uid, new.kind, new.name, _text(new.spec), _text(new.status), _text(new.labels), now),
        )
        if made:
            self._put_labels(new.kind, uid, new.labels)
        return self.require(new.kind, new.name), bool(made)

    def _put_labels(self, kind: str, uid: str, labels: dict[str, str]) -> None:
        self._db.change("DELETE FROM label WHERE uid = ?", (uid,))
        for key, value in labels.items():
            self._db.change(
                "INSERT INTO label (kind, key, value, uid) VALUES (?, ?, ?, ?)",
                (kind, key, value, uid),
            )

    def put_status(self, obj: Object, status: Any) -> Object:
        """Write a status by compare-and-swap."""
        changed = self._db.change(
            "UPDATE object SET status = ?, version = version + 1 WHERE uid = ? AND version = ?",
            (_text(status), obj.uid, obj.version),
        )
        self._expect(changed, obj)
        return replace(obj, status=status, version=obj.version + 1)

    def put_spec(self, obj: Object, spec: Any, labels: dict[str, str] | None = None) -> Object:
        """Write a definition's spec by compare-and-swap."""
        wanted = obj.labels if labels is None else labels
        if spec == obj.spec and wanted == obj.labels:
            return obj
        generation = obj.generation + (spec != obj.spec)
        changed = self._db.change(
            "UPDATE object SET spec = ?, labels = ?, generation = ?, version = version + 1"
            " WHERE uid = ? AND version = ?",
            (_text(spec), _text(wanted), generation, obj.uid, obj.version),
        )
        self._expect(changed, obj)
        if wanted != obj.labels:
            self._put_labels(obj.kind, obj.uid, wanted)
        return replace(
            obj, spec=spec, labels=wanted, generation=generation, version=obj.version + 1
        )

    def forget(self, obj: Object) -> None:
        """Delete an object with all that belongs to it."""
        for table in ("label", "step", "action", "sample", "object"):
            self._db.change(f"DELETE FROM {table} WHERE uid = ?", (obj.uid,))
        self._db.change("DELETE FROM task WHERE kind = ? AND name = ?", obj.key)

    def _expect(self, changed: int, obj: Object) -> None:
        if not changed:
            raise Conflict(f"{obj.kind} {obj.name} was changed meanwhile", hint="look again")

    # --- steps -----------------------------------------------------------------------

    def steps(self, uid: str) -> builtins.list[StepRow]:
        """Return the steps of a Run by position."""
        rows = self._db.run("SELECT body FROM step WHERE uid = ? ORDER BY position, name", (uid,))
        return [_step.decode(row[0]) for row in rows]

    def steps_by_name(self, uid: str) -> Steps:
        """Return the steps of a Run, loading what was written since they were last asked for."""
        steps, seen = self._memo.book(uid)
        rows = self._db.run(
            "SELECT body, written FROM step WHERE uid = ? AND written > ? ORDER BY position, name",
            (uid, seen),
        )
        for body, written in rows:
            steps.put(_step.decode(body))
            seen = max(seen, written)
        steps.lean_on(partial(self._steps_named, uid))
        self._memo.keep_book(uid, steps, seen)
        return steps

    def _steps_named(self, uid: str, names: Sequence[str]) -> Iterator[StepRow]:
        places = ", ".join("?" * len(names))
        rows = self._db.run(
            f"SELECT body FROM step WHERE uid = ? AND name IN ({places})",
            (uid, *names),
        )
        return (_step.decode(body) for (body,) in rows)

    def put_step(self, uid: str, row: StepRow) -> None:
        """Write a step."""
        self._db.change(
            "INSERT INTO step (uid, name, position, body, written) VALUES (?, ?, ?, ?,"
            " (SELECT COALESCE(MAX(written), 0) + 1 FROM step WHERE uid = ?))"
            " ON CONFLICT (uid, name) DO UPDATE SET position = excluded.position,"
            " body = excluded.body, written = excluded.written",
            (uid, row.name, row.position, _text(row), uid),
        )

    # --- samples ---------------------------------------------------------------------------------

    def add_samples(self, uid: str, bodies: Sequence[dict[str, Any]]) -> None:
        """Keep raw observations of a Run."""
        ((last,),) = self._db.run("SELECT COALESCE(MAX(n), 0) FROM sample WHERE uid = ?", (uid,))
        for number, body in enumerate(bodies, last + 1):
            self._db.change(
                "INSERT INTO sample (uid, n, body) VALUES (?, ?, ?)", (uid, number, _text(body))
            )

    def samples(self, uid: str, after: int = 0) -> builtins.list[dict[str, Any]]:
        """Return them in order."""
        rows = self._db.run(
            "SELECT body FROM sample WHERE uid = ? AND n > ? ORDER BY n", (uid, after)
        )
        return [msgspec.json.decode(row[0]) for row in rows]

    # --- settings --------------------------------------------------------------------------------

    def get_setting(self, key: str) -> str | None:
        """Return a setting, or None."""
        rows = self._db.run("SELECT value FROM setting WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def put_setting(self, key: str, value: str) -> None:
        """Write a setting."""
        self._db.change(
            "INSERT INTO setting (key, value) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def settings(self, prefix: str) -> dict[str, str]:
        """Return the settings whose keys begin so."""
        rows = self._db.run(
            "SELECT key, value FROM setting WHERE substr(key, 1, ?) = ? ORDER BY key",
            (len(prefix), prefix),
        )
        return {str(key): str(value) for key, value in rows}

    def remove_setting(self, key: str) -> None:
        """Forget a setting."""
        self._db.change("DELETE FROM setting WHERE key = ?", (key,))
