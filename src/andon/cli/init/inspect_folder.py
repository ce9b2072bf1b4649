"""Find out what a folder holds: its services, and how each is built, tested and started."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from andon.cli.init.folder import Folder
from andon.cli.init.languages import SERVE_FILES, Recipe, read_recipe
from andon.cli.init.pytest_suite import PytestSuite

_HEALTH = re.compile(r"""["'`](/(?:healthz|health|ready|readyz|livez|ping|status))["'`]""")
_MAX_SERVICES = 10
_NOT_SERVICES = frozenset({"test", "tests", "docs", "node_modules", "vendor", "dist", "build"})


class ServiceFindings(Struct, frozen=True, kw_only=True):
    """One program, and which parts are only guessed."""

    name: str
    path: str
    language: str
    build: str
    test: str
    suite: PytestSuite | None
    command: tuple[str, ...]
    health_path: str
    network: bool
    guessed: frozenset[str]
    """Fields that have a default because nothing was found: ``test``, ``command``, ``health``."""


class Findings(Struct, frozen=True, kw_only=True):
    """What a folder holds; the notes say what a person should look at."""

    name: str
    services: tuple[ServiceFindings, ...]
    notes: tuple[str, ...]


def inspect_folder(path: Path) -> Findings:
    """Look at a folder; read files only, run nothing.

    Args:
        path: The repository's top folder.
    """
    folder = Folder(path)
    name = as_name(path.resolve().name)
    recipe = read_recipe(folder)
    found = {} if recipe and recipe.command else _services_below(folder)
    if found:
        services = tuple(_finish(as_name(p.rpartition("/")[2]), p, r) for p, r in found.items())
    else:
        services = (_finish(name, ".", recipe or Recipe(language="unknown")),)
    return Findings(
        name=name,
        services=services,
        notes=tuple(note for service in services for note in _notes(service)),
    )


def as_name(text: str) -> str:
    """Turn any text into a name that documents allow.

    >>> as_name("My Shop_2"), as_name("///")
    ('my-shop-2', 'app')
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "app"


def _services_below(folder: Folder) -> dict[str, Recipe]:
    """Return the programs in the folders below, and in ``services``, ``apps`` and ``cmd``-like ones."""
    places = {name: folder.enter(name) for name in folder.folders()}
    for parent in ("services", "apps", "packages"):
        inside = places.pop(parent, None)
        for name in inside.folders() if inside else ():
            places[f"{parent}/{name}"] = inside.enter(name) if inside else folder
    found: dict[str, Recipe] = {}
    names: set[str] = set()
    for place, inner in list(places.items())[:200]:
        last = place.rpartition("/")[2]
        usable = re.fullmatch(r"[\w./-]+", place, re.ASCII) and last not in _NOT_SERVICES
        recipe = read_recipe(inner) if usable and as_name(last) not in names else None
        if recipe and recipe.command and len(found) < _MAX_SERVICES:
            found[place] = recipe
            names.add(as_name(last))
    return found


def _finish(name: str, path: str, recipe: Recipe) -> ServiceFindings:
    health = _HEALTH.search(recipe.source)
    guessed = {
        "test": not recipe.test,
        "command": not recipe.command,
        "health": not health,
        "port": bool(recipe.command) and "PORT" not in recipe.source + " ".join(recipe.command),
        "image": recipe.containerized,
    }
    return ServiceFindings(
        name=name,
        path=path,
        language=recipe.language,
        build=recipe.build,
        test=recipe.test,
        suite=recipe.suite,
        command=recipe.command or SERVE_FILES,
        health_path=health[1] if health and recipe.command else "/",
        network=recipe.network,
        guessed=frozenset(part for part, missing in guessed.items() if missing),
    )


_NOTES = {
    "command": "{name}: no start command found; it serves its own files until you set `command`",
    "test": "{name}: no tests found; no check is required before a release until you add a test job",
    "port": "{name}: the program does not seem to read $PORT; Andon gives each replica its port there",
    "image": "{name}: started as its Dockerfile says, but as a process of this machine: ENV and RUN do not apply",
    "health": "{name}: no health path found; a replica counts as ready when GET / answers 2xx or 3xx",
}


def _notes(service: ServiceFindings) -> list[str]:
    return [
        text.format(name=service.name) for part, text in _NOTES.items() if part in service.guessed
    ]
