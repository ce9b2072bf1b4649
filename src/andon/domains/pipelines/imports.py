"""Who imports whom in a tree of Python files: what a change of one can affect.

Nothing is run: the sources are read. What a program imports by a name it puts together is not seen;
recorded coverage makes up for that (``selection``).
"""

from __future__ import annotations

import ast
import posixpath
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

_BY_NAME = {"import_module", "__import__", "importorskip", "run_module"}


class Imports:
    """The graph of imports.

    Args:
        sources: Text of every Python file, by path.

    Attributes:
        files: The files.
        opaque: Those that cannot be read as Python: they may import anything.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.files = frozenset(sources)
        self._named: dict[str, set[str]] = {}
        for path in sources:
            for name in self._names(path):
                self._named.setdefault(name, set()).add(path)
        self.opaque: set[str] = set()
        self._mentions: dict[str, set[str]] = {}
        self._imported_by: dict[str, set[str]] = {path: set() for path in sources}
        for path, text in sources.items():
            for other in self._imports(path, text) - {path}:
                self._imported_by[other].add(path)

    def distances(self, path: str) -> dict[str, int]:
        """Return the files that a change of a file can affect, with the number of imports between.

        Args:
            path: A Python file, or any other: then all that name it in a text.
        """
        if path in self._imported_by:
            found = {path: 0}
        else:
            found = dict.fromkeys(self._mentions.get(posixpath.basename(path), ()), 1)
        ahead = deque(found)
        while ahead:
            here = ahead.popleft()
            for file in self._imported_by[here]:
                if file not in found:
                    found[file] = found[here] + 1
                    ahead.append(file)
        return found

    def _names(self, path: str) -> Iterator[str]:
        """Return the names that a file may be imported by: below every folder that is no package."""
        parts = path.removesuffix(".py").split("/")
        if parts[-1] == "__init__":
            parts.pop()
        for start in range(len(parts)):
            folder = "/".join(parts[:start])
            if f"{folder}/__init__.py".lstrip("/") not in self.files:
                yield ".".join(parts[start:])

    def _imports(self, path: str, text: str) -> set[str]:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.opaque.add(path)
            return set(self.files)
        found = set(self._fixtures(path))
        for node in ast.walk(tree):
            for name in self._wanted(path, node):
                found |= self._reached(name)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._mention(path, node.value)
        return found

    def _mention(self, path: str, text: str) -> None:
        name = posixpath.basename(text) if len(text) <= 300 else ""
        if "." in name and "\n" not in name:
            self._mentions.setdefault(name, set()).add(path)

    def _fixtures(self, path: str) -> Iterator[str]:
        """Return each conftest.py that pytest loads for a file."""
        folder = posixpath.dirname(path)
        while True:
            conftest = posixpath.join(folder, "conftest.py")
            if conftest in self.files:
                yield conftest
            if not folder:
                return
            folder = posixpath.dirname(folder)

    def _wanted(self, path: str, node: ast.AST) -> Iterable[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            bases = self._bases(path, node)
            return [f"{base}.{alias.name}" for base in bases for alias in node.names]
        if isinstance(node, ast.Call) and _called(node) in _BY_NAME and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                return [first.value]
        return []

    def _bases(self, path: str, node: ast.ImportFrom) -> list[str]:
        if not node.level:
            return [node.module or ""]
        found = []
        for name in self._names(path):
            package = name.split(".")
            inside = node.level - path.endswith("/__init__.py")
            if inside < len(package) or (inside == len(package) and node.module):
                rest = [node.module] if node.module else []
                found.append(".".join([*package[: len(package) - inside], *rest]))
        return found

    def _reached(self, name: str) -> set[str]:
        """Return the files run by an import: the module, and every package around it."""
        words = name.split(".")
        names = (".".join(words[:length]) for length in range(1, len(words) + 1))
        return set().union(*(self._named.get(one, set()) for one in names))


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""
