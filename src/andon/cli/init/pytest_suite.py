"""What a Python project's own files say of its tests: which packages they need."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from andon.cli.init.folder import Folder

JUNIT = "junit.xml"
RUN = f"python -m pytest -q --junitxml={JUNIT}"

_NAMES = ("test", "tests", "testing", "dev", "develop", "development")
"""What extras and groups of dependencies for tests are called."""
_FILES = (
    "requirements/tests.txt", "requirements/test.txt", "requirements/testing.txt",
    "requirements-test.txt", "requirements-tests.txt", "requirements_test.txt",
    "test-requirements.txt", "requirements/dev.txt", "requirements-dev.txt",
    "requirements_dev.txt", "dev-requirements.txt",
)  # fmt: skip
_PACKAGE = re.compile(r"[A-Za-z0-9][ -~]{0,199}")
_PYTEST = re.compile(r"\s*pytest\b(?!-)")
_MOST_PACKAGES = 50


class PytestSuite(Struct, frozen=True, kw_only=True):
    """How a suite is run by the typed step ``python``.

    Args:
        requirements: Files of requirements.
        packages: Further requirements; ``.`` is the project.
        source: The folder its packages lie in, where they are not installed.
    """

    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    source: str = ""


def read_pytest_suite(folder: Folder, source: str = "") -> PytestSuite | None:
    """Return how the tests are run; None if nothing says that pytest runs them.

    Args:
        folder: The project.
        source: The folder that imports look in, if any.
    """
    project = _toml(folder.read("pyproject.toml"))
    files = [
        name for name in ("requirements.txt", _requirements(folder)) if name and _says(folder, name)
    ]
    extra, group = _extra(project), _group(project)
    listed = [*group, *(_read(folder, name) for name in files), *_extras(project).get(extra, ())]
    if not _uses_pytest(folder, listed):
        return None
    packages = [f".[{extra}]" if extra else "."] if _installable(folder, project) else []
    packages += group
    if not any(
        re.match(r"pytest\b(?!-)", line.strip()) for text in listed for line in text.splitlines()
    ):
        packages.append("pytest")
    return PytestSuite(
        requirements=tuple(dict.fromkeys(files)),
        packages=tuple(dict.fromkeys(packages)),
        source="" if packages[:1] and packages[0].startswith(".") else source,
    )


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _read(folder: Folder, name: str) -> str:
    place, _, file = name.rpartition("/")
    return (folder.enter(place) if place else folder).read(file)


def _says(folder: Folder, name: str) -> bool:
    return bool(re.search(r"^\s*[^\s#]", _read(folder, name), re.MULTILINE))


def _requirements(folder: Folder) -> str:
    return next((name for name in _FILES if _says(folder, name)), "")


def _uses_pytest(folder: Folder, listed: Iterable[str]) -> bool:
    written = [folder.read(name) for name in ("pyproject.toml", "setup.py", "setup.cfg", "tox.ini")]
    places = (folder, *(folder.enter(name) for name in ("tests", "test", "testing")))
    return any(re.search(r"\bpytest\b", text) for text in (*written, *listed)) or any(
        place.first("pytest.ini", "conftest.py") for place in places
    )


def _installable(folder: Folder, project: dict[str, Any]) -> bool:
    return "build-system" in project or "project" in project or folder.has("setup.py")


def _table(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _extras(project: dict[str, Any]) -> dict[str, list[str]]:
    """Return the project's extras whose names may be written into a requirement."""
    return {
        name: [line for line in lines if isinstance(line, str)]
        for name, lines in _table(_table(project, "project"), "optional-dependencies").items()
        if isinstance(lines, list) and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", name, re.ASCII)
    }


def _extra(project: dict[str, Any]) -> str:
    """Return the extra that tests need: by its name, or because pytest is in it."""
    extras = _extras(project)
    named = [name for name in _NAMES if name in extras]
    holding = [name for name, lines in extras.items() if any(map(_PYTEST.match, lines))]
    return next(iter((*named, *holding)), "")


def _group(project: dict[str, Any]) -> list[str]:
    """Return the packages of the group of dependencies that tests need."""
    groups = _table(project, "dependency-groups")
    name = next((name for name in _NAMES if name in groups), "")
    found: list[str] = []
    waiting, seen = [name], {name}
    while waiting:
        entries = groups.get(waiting.pop())
        for entry in entries if isinstance(entries, list) else ():
            other = entry.get("include-group") if isinstance(entry, dict) else None
            if isinstance(entry, str) and _PACKAGE.fullmatch(entry):
                found.append(entry)
            elif isinstance(other, str) and other not in seen:
                seen.add(other)
                waiting.append(other)
    return found[:_MOST_PACKAGES]
