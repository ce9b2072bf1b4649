"""YAML that is not ours, read with the place of every value.

Files of other engines are hostile input like our own documents, so they are bounded the same way; unlike
ours they use aliases, merge keys and tags, and these are resolved here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import yaml

from andon.api.parse import MAX_BYTES, MAX_NODES
from andon.api.positions import expanded_nodes, too_deep
from andon.api.problems import Problem, invalid
from andon.api.v1.pipelines import Scalar

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"
_INTEGER = re.compile(r"[-+]?\d{1,18}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d{1,3})?")
_WORDS: dict[str, Scalar | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
Fields = dict[str, "Node"]


class Node:
    """A value, and the line it stands in; a mapping has ``fields``, a list ``items``.

    Nodes are the same object where an alias or a merge key uses them again.
    """

    def __init__(self, line: int, tag: str = "") -> None:
        self.line = line
        self.tag = tag
        self.value: Scalar | None = None
        self.typed = ""
        self.items: list[Node] | None = None
        self.fields: Fields | None = None

    @property
    def text(self) -> str | None:
        """The value as other engines hand it on as text; None if it is none."""
        if self.items is not None or self.fields is not None or self.value is None:
            return None
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)

    def get(self, name: str) -> Node | None:
        """Return a field of a mapping."""
        return (self.fields or {}).get(name)

    def below(self) -> Iterator[tuple[str | int, Node]]:
        """Yield what a mapping or list holds, by name or number."""
        if self.fields is not None:
            yield from self.fields.items()
        elif self.items is not None:
            yield from enumerate(self.items)


def read_foreign(data: bytes, file: str) -> tuple[Node, ...]:
    """Read all documents of a file.

    Args:
        data: The file's bytes.
        file: Its name, for messages.

    Raises:
        InvalidDocument: It is no YAML, or too large, too deep or written to fill the memory.
    """
    if len(data) > MAX_BYTES:
        raise _wrong(file, 1, f"the file has {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _wrong(file, data.count(b"\n", 0, error.start) + 1, "not UTF-8 text") from None
    if "\0" in text:
        raise _wrong(file, 1, "a null byte is not allowed in YAML")
    if too_deep(text):
        raise _wrong(file, 1, "nested too deeply")
    if "*" in text and expanded_nodes(text, MAX_NODES) > MAX_NODES:
        raise _wrong(file, 1, f"aliases expand to more than {MAX_NODES} values")
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _wrong(file, mark.line + 1 if mark else 1, f"not YAML: {said[:200]}") from None
    return tuple(builder.documents)


def _wrong(file: str, line: int, message: str) -> Exception:
    return invalid((Problem(file=file, line=line, column=0, field="", message=message),))


class _Open:
    """A mapping or list that is not complete yet."""

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: Node | None = None
        self.merged: list[Node] = []


class _Builder:
    def __init__(self, file: str) -> None:
        self.documents: list[Node] = []
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _wrong(self._file, line, f"nothing is anchored as `{str(event.anchor)[:60]}`")
            self._put(self._anchors[event.anchor], line)
        elif isinstance(event, yaml.ScalarEvent):
            node = _scalar(event, line)
            if event.anchor:
                self._anchors[event.anchor] = node
            self._put(node, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            node = Node(line, event.tag or "")
            if isinstance(event, yaml.MappingStartEvent):
                node.fields = {}
            else:
                node.items = []
            self._open.append(_Open(node, event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()

    def _close(self) -> None:
        ended = self._open.pop()
        fields = ended.node.fields
        for source in ended.merged if fields is not None else ():
            for name, node in (source.fields or {}).items():
                if fields is not None:
                    fields.setdefault(name, node)
        if ended.anchor:
            self._anchors[ended.anchor] = ended.node
        self._put(ended.node, ended.node.line)

    def _put(self, node: Node, line: int) -> None:
        if not self._open:
            self.documents.append(node)
            return
        level = self._open[-1]
        if level.node.items is not None:
            level.node.items.append(node)
        elif level.key is None:
            if node.items is not None or node.fields is not None:
                raise _wrong(self._file, line, "a list or mapping is used as a key")
            level.key = node
        else:
            self._set(level, level.key, node, line)
            level.key = None

    def _set(self, level: _Open, key: Node, node: Node, line: int) -> None:
        fields = level.node.fields if level.node.fields is not None else {}
        if key.typed == _MERGE:
            sources = node.items if node.items is not None else [node]
            if any(source.fields is None for source in sources):
                raise _wrong(self._file, line, "`<<` takes a mapping, or a list of mappings")
            level.merged += sources
        elif key.typed in fields:
            raise _wrong(self._file, key.line, f"`{key.typed[:60]}` is written twice")
        else:
            fields[key.typed] = node


def _scalar(event: Any, line: int) -> Node:
    node = Node(line, "" if event.tag == "tag:yaml.org,2002:str" else event.tag or "")
    node.typed = event.value
    node.value = _resolved(event.value) if event.implicit[0] else event.value
    return node


def _resolved(text: str) -> Scalar | None:
    """Return what a plain scalar is, by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        based = text[:2] in ("0o", "0x")
        return int(text, 0 if based else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def leaves(root: Node) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    """Yield each scalar and each empty mapping or list once, with its first path."""
    seen: set[int] = set()
    waiting: list[tuple[tuple[str | int, ...], Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        inside = list(itertools.chain(node.below()))
        if not inside:
            yield path, node
        waiting += [((*path, name), child) for name, child in reversed(inside)]
