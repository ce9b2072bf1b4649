"""The account of an import: every value of the input is carried over, or said to be not.

A value counts as lost until somebody says otherwise, so a field that this version knows nothing of is
reported and never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from andon.api.foreign import Node, leaves
from andon.api.problems import Path, field_name, shorten

Became = Literal["not-carried", "differs", "meaningless"]
Document = dict[str, Any]


class Note(Struct, frozen=True, kw_only=True):
    """One thing a person should know of an import.

    Args:
        line: Of the input, from 1.
        field: Where in it.
        became: ``not-carried``: the result does not do it. ``differs``: it does, and not quite the same.
            ``meaningless``: there is nothing it could mean here.
        what: The value, shortened.
        why: Why it was not carried over.
        instead: What to do.
    """

    line: int
    field: str
    became: Became
    what: str
    why: str
    instead: str = ""


class Imported(Struct, frozen=True, kw_only=True):
    """A Pipeline as text, and what a person should know of it."""

    text: str
    notes: tuple[Note, ...]

    @property
    def complete(self) -> bool:
        """Whether all of the input's meaning is in the result."""
        return all(note.became != "not-carried" for note in self.notes)


class Carrying:
    """Who was told of which value of the input.

    Args:
        root: The input.
    """

    def __init__(self, root: Node) -> None:
        self.root = root
        self._paths: dict[int, Path] = {}
        self._told: set[int] = set()
        self._notes: dict[tuple[int, str, str], Note] = {}
        self._index((), root)

    def _index(self, path: Path, root: Node) -> None:
        waiting: list[tuple[Path, Node]] = [(path, root)]
        while waiting:
            here, node = waiting.pop()
            if id(node) not in self._paths:
                self._paths[id(node)] = here
                waiting += [((*here, name), child) for name, child in reversed([*node.below()])]

    def take(self, node: Node) -> Node:
        """Say that the result holds all of a value."""
        self._told.update(id(leaf) for _, leaf in leaves(node))
        return node

    def lost(self, node: Node, why: str, instead: str = "") -> None:
        """Say that the result does not do what a value asks for."""
        self._note(node, "not-carried", why, instead)

    def differs(self, node: Node, why: str, instead: str = "") -> None:
        """Say that the result does it, and not quite the same."""
        self._note(node, "differs", why, instead)

    def meaningless(self, node: Node, why: str) -> None:
        """Say that a value could mean nothing here."""
        self._note(node, "meaningless", why, "")

    def _note(self, node: Node, became: Became, why: str, instead: str) -> None:
        if id(node) not in self._paths:  # joined from several places of the input: name each
            for _, part in node.below():
                self._note(part, became, why, instead)
            return
        self.take(node)
        field = field_name(self._paths[id(node)])
        note = Note(
            line=node.line, field=field, became=became, what=said(node), why=why, instead=instead
        )
        self._notes.setdefault((node.line, field, why), note)

    def untold(self, node: Node) -> bool:
        """Say whether nobody was told of anything in a value."""
        return all(id(leaf) not in self._told for _, leaf in leaves(node))

    def notes(self, unused: str) -> tuple[Note, ...]:
        """Close the account: what nobody was told of is lost; then return all notes in the input's order.

        Args:
            unused: Why a value that was never asked for is not in the result.
        """
        for node in list(self._silent(self.root)):
            self.lost(node, unused, "see docs/import.md; write it by hand if you need it")
        return tuple(sorted(self._notes.values(), key=lambda note: (note.line, note.field)))

    def _silent(self, root: Node) -> Iterator[Node]:
        """Yield the uppermost values of which nobody was told anything."""
        waiting = [child for _, child in root.below()]
        seen = {id(root), *map(id, waiting)}
        while waiting:
            node = waiting.pop()
            if self.untold(node):
                yield node
                continue
            below = [child for _, child in node.below() if id(child) not in seen]
            seen.update(map(id, below))
            waiting += below


def said(node: Node) -> str:
    """Write a value briefly."""
    if node.fields is not None:
        return (
            "{"
            + ", ".join(list(node.fields)[:4])[:60]
            + ("…" if len(node.fields) > 4 else "")
            + "}"
        )
    if node.items is not None:
        return f"[{len(node.items)} value{'s' * (len(node.items) != 1)}]"
    return shorten(node.typed)


def as_name(text: str, taken: Iterable[str] = (), otherwise: str = "job") -> str:
    """Turn any text into a name that documents allow, unlike those that are taken.

    >>> as_name("Unit_Tests (3.12)"), as_name("a.b", {"a-b"}), as_name("§")
    ('unit-tests-3-12', 'a-b-2', 'job')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50].strip("-") or otherwise
    known = set(taken)
    return next(name for name in _numbered(plain) if name not in known)


def as_variable(text: str) -> str:
    """Turn a word into the name of an environment variable.

    >>> as_variable("python-version"), as_variable("2nd")
    ('python_version', '_2nd')
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", text) or "_"
    return f"_{plain}" if plain[0].isdigit() else plain


def _numbered(plain: str) -> Iterator[str]:
    yield plain
    number = 2
    while True:
        yield f"{plain}-{number}"
        number += 1


def texts(node: Node | None) -> list[Node]:
    """Return a value, or the values of a list; nothing if there is none."""
    if node is None:
        return []
    return node.items if node.items is not None else [node]


def without_empty(document: Mapping[str, Any]) -> Document:
    """Leave out what says nothing."""
    return {name: value for name, value in document.items() if value not in (None, [], {}, "")}
