"""Where each field of a YAML document stands.

ryaml reads the values; it keeps no positions. Only when something is wrong is the text scanned a
second time, as a flat stream of events: nothing is built, aliases are not followed, and nesting
costs no stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from andon.api.problems import Path

_MAX_DEPTH = 130


class Place(Struct, frozen=True):
    """Line and column, counted from 1, and the scalar as it was typed."""

    line: int
    column: int
    typed: str | None = None


class Positions(Struct):
    """Places of one document's keys and values by path."""

    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    duplicates: list[Path] = field(default_factory=list)
    compound_keys: list[Place] = field(default_factory=list)
    syntax: Place | None = None

    def of_key(self, path: Path) -> Place:
        """Return where the key stands; where its value or an ancestor stands if it has none."""
        return self.keys.get(path) or self.of_value(path)

    def of_value(self, path: Path) -> Place:
        """Return where the value stands, or the nearest ancestor that has a place."""
        for length in range(len(path), -1, -1):
            place = self.values.get(path[:length]) or self.keys.get(path[:length])
            if place:
                return place
        return Place(0, 0)


def locate(text: str, line_offset: int = 0) -> Positions:
    """Index one document.

    Args:
        text: The document.
        line_offset: Lines of the file before the document.
    """
    import yaml

    index = _Index(line_offset)
    try:
        for event in _events(text):
            index.take(event)
    except (yaml.YAMLError, ValueError) as error:
        index.found.syntax = _error_place(error, line_offset)
    return index.found


def expanded_nodes(text: str, limit: int) -> int:
    """Count the nodes a document has once its aliases are followed; stop soon after the limit.

    Aliases that expand to more than ``limit`` nodes are how a small file fills the memory.
    """
    import yaml

    anchors: dict[str, int] = {}
    open_counts: list[tuple[str | None, int]] = []
    total = 0
    for event in _quiet_events(text):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            total += 1
            open_counts.append((event.anchor, total - 1))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            anchor, before = open_counts.pop()
            if anchor:
                anchors[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            total += anchors.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                anchors[event.anchor] = 1
        if total > limit:
            break
    return total


def too_deep(text: str) -> bool:
    """Tell whether brackets nest deeper than reading allows.

    Asked before reading, because finding that out while reading takes time quadratic in the depth.
    """
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return False
    import yaml

    try:
        for _ in _events(text):
            pass
    except _TooDeep:
        return True
    except (yaml.YAMLError, ValueError):
        pass
    return False


class _TooDeep(ValueError):
    """Nesting goes deeper than reading allows."""


def _events(text: str) -> Iterator[Any]:
    """Yield events down to the deepest level that reading allows.

    Raises:
        _TooDeep: Nesting goes deeper.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise _TooDeep
        yield event


def _quiet_events(text: str) -> Iterator[Any]:
    """Yield events up to the first syntax error, which the reading itself will report."""
    import yaml

    try:
        yield from _events(text)
    except (yaml.YAMLError, ValueError):
        return


def _error_place(error: Exception, line_offset: int) -> Place | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return Place(mark.line + 1 + line_offset, mark.column + 1) if mark else None


class _Level:
    """An open mapping or list while events stream by."""

    def __init__(self, path: Path, *, mapping: bool, compound_key: bool) -> None:
        self.path = path
        self.mapping = mapping
        self.compound_key = compound_key
        self.key: str | None = None
        self.count = 0


class _Index:
    def __init__(self, line_offset: int) -> None:
        self.found = Positions()
        self._offset = line_offset
        self._levels: list[_Level] = []

    def take(self, event: Any) -> None:
        import yaml

        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            if self._levels.pop().compound_key:
                self._levels[-1].key = ""
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)

    def _node(self, event: Any) -> None:
        import yaml

        typed = event.value if isinstance(event, yaml.ScalarEvent) else None
        place = Place(event.start_mark.line + 1 + self._offset, event.start_mark.column + 1, typed)
        level = self._levels[-1] if self._levels else None
        opens = isinstance(event, yaml.CollectionStartEvent)
        compound = False
        path: Path = ()
        if level and level.mapping and level.key is None:
            if not opens:
                self._key(level, place)
                return
            self.found.compound_keys.append(place)
            path, compound = (*level.path, ""), True
        elif level:
            path = (*level.path, level.count if level.key is None else level.key)
            level.key, level.count = None, level.count + 1
        if not compound:
            self.found.values.setdefault(path, place)
        if opens:
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._levels.append(_Level(path, mapping=is_mapping, compound_key=compound))

    def _key(self, level: _Level, place: Place) -> None:
        level.key = place.typed or ""
        path = (*level.path, level.key)
        if path in self.found.keys:
            self.found.duplicates.append(path)
        self.found.keys[path] = place
