"""GitLab's jobs as they are after ``extends``, ``default`` and ``!reference``."""

from __future__ import annotations

from collections.abc import Iterator

from andon.api.foreign import Node
from andon.domains.pipelines.foreign.carrying import Carrying, texts

GLOBAL = frozenset(
    {"stages", "variables", "default", "include", "workflow", "image", "services", "cache",
     "before_script", "after_script", "spec", "types"}
)  # fmt: skip
"""Words at the top that are no jobs."""
_DEFAULTS = (
    "image", "services", "cache", "before_script", "after_script", "artifacts", "retry", "timeout",
    "interruptible", "tags", "id_tokens", "hooks",
)  # fmt: skip
_REFERENCE = "!reference"
_MOST_PARENTS = 11


class Sources:
    """The jobs of a file, and what they take from each other.

    Args:
        root: The file.
        carrying: The account.
    """

    def __init__(self, root: Node, carrying: Carrying) -> None:
        self._root = root
        self._carrying = carrying
        self.all = {
            name: node
            for name, node in (root.fields or {}).items()
            if name not in GLOBAL and node.fields is not None
        }

    def jobs(self) -> dict[str, Node]:
        """Return what runs, each with all it extends and all defaults."""
        return {
            name: self._with_defaults(self._extended(name, node, 0))
            for name, node in self.all.items()
            if not name.startswith(".")
        }

    def _extended(self, name: str, node: Node, depth: int) -> Node:
        parents = node.get("extends")
        merged: Node | None = None
        for parent in texts(parents):
            other = self.all.get(parent.text or "")
            if other is None or depth > _MOST_PARENTS:
                self._carrying.lost(
                    parent, "there is no such job in the file", "write its fields out"
                )
                continue
            self._carrying.take(parent)
            merged = _merge(merged, self._extended(parent.text or "", other, depth + 1))
        own = Node(node.line)
        own.fields = {key: value for key, value in (node.fields or {}).items() if key != "extends"}
        return _merge(merged, own)

    def _with_defaults(self, job: Node) -> Node:
        inherit = job.get("inherit")
        allowed = inherit.get("default") if inherit else None
        if allowed is not None and isinstance(allowed.value, bool):
            self._carrying.take(allowed)
        made = Node(job.line)
        made.fields = dict(job.fields or {})
        for name in _DEFAULTS if allowed is None or allowed.value is not False else ():
            default = (self._root.get("default") or Node(0)).get(name) or self._root.get(name)
            if default is not None and name not in made.fields:
                made.fields[name] = default
        return made

    def lines(self, node: Node | None, depth: int = 0) -> Iterator[Node]:
        """Yield the lines of a script, with what it refers to."""
        if node is None or depth > _MOST_PARENTS:
            return
        if node.tag == _REFERENCE:
            yield from self.lines(self._referred(node), depth + 1)
        elif node.items is not None:
            for item in node.items:
                yield from self.lines(item, depth + 1)
        else:
            yield node

    def _referred(self, node: Node) -> Node | None:
        found: Node | None = self._root
        for word in node.items or ():
            found = found.get(word.text or "") if found else None
        if found is None:
            self._carrying.lost(node, "it refers to nothing in the file", "write it out")
        else:
            self._carrying.take(node)
        return found

    def whole(self, node: Node | None) -> Node | None:
        """Return a value, or what it refers to; in a list, too."""
        if node is not None and node.tag == _REFERENCE:
            return self._referred(node)
        if node is not None and node.items and any(one.tag == _REFERENCE for one in node.items):
            made = Node(node.line)
            made.items = []
            for one in node.items:
                made.items += texts(self._referred(one)) if one.tag == _REFERENCE else [one]
            return made
        return node


def _merge(under: Node | None, over: Node) -> Node:
    """Lay a mapping over another; lists are replaced as a whole."""
    if under is None or under.fields is None or over.fields is None:
        return over
    made = Node(over.line, over.tag)
    made.fields = dict(under.fields)
    for name, node in over.fields.items():
        made.fields[name] = _merge(made.fields.get(name), node)
    return made
