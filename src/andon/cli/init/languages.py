"""How each kind of project is built, tested and started.

Every answer is read from files; nothing of the folder is run.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from msgspec import Struct

from andon.cli.init.folder import Folder
from andon.cli.init.pytest_suite import RUN, PytestSuite, read_pytest_suite


class Recipe(Struct, frozen=True, kw_only=True):
    """What was found about one program; empty where nothing was."""

    language: str
    build: str = ""
    test: str = ""
    suite: PytestSuite | None = None
    """How the tests are run, where it is pytest that runs them; `test` is then what is run."""
    command: tuple[str, ...] = ()
    network: bool = False
    """Build and test fetch dependencies."""
    source: str = ""
    """Beginning of the program's text, to look for its health path and port."""
    containerized: bool = False
    """The start command comes from a Dockerfile."""


_ENTRIES = ("app.py", "main.py", "server.py", "wsgi.py", "run.py")
_PYTHON_INSTALL = "python3 -m pip install --quiet --target .deps"
_WITH_DEPENDENCIES = "PYTHONPATH=.deps:. "
_TEST_FILE = re.compile(r"test.*\.py|.*_test\.py")
_PRINTABLE = re.compile(r"[ -~]{1,500}")


def python(folder: Folder) -> Recipe | None:
    """Read a Python program: requirements, tests, entry file."""
    project, setup = (
        folder.read("pyproject.toml"),
        folder.read("setup.py") + folder.read("setup.cfg"),
    )
    requirements = folder.read("requirements.txt")
    entry = folder.first("manage.py", *_ENTRIES) or _python_package(folder)
    python_files = [name for name in folder.files() if name.endswith(".py")]
    if not (project or setup or requirements or python_files or entry):
        return None
    wanted = _python_install(project, setup, requirements)
    suite = read_pytest_suite(folder, _source_folder(folder))
    return Recipe(
        language="Python",
        build=f"{_PYTHON_INSTALL} {wanted}" if wanted else "",
        test=RUN if suite else _python_test(folder, wanted),
        suite=suite,
        command=_python_command(folder, entry, requirements + project + setup, bool(wanted)),
        network=bool(wanted) or suite is not None,
        source=_python_source(folder, entry),
    )


def _python_package(folder: Folder) -> str | None:
    """Return the package that `python3 -m` starts, as its folder followed by a slash."""
    for place, inside in (("", folder), ("src/", folder.enter("src"))):
        for name in inside.folders():
            if name.isidentifier() and inside.enter(name).has("__main__.py"):
                return f"{place}{name}/"
    return None


def _python_source(folder: Folder, entry: str | None) -> str:
    if not entry or not entry.endswith("/"):
        return folder.read(entry) if entry else ""
    package = folder
    for name in entry.strip("/").split("/"):
        package = package.enter(name)
    return "\n".join(package.read(name) for name in package.files() if name.endswith(".py"))


def _python_install(project: str, setup: str, requirements: str) -> str:
    if re.search(r"^\s*[^\s#]", requirements, re.MULTILINE):
        return "-r requirements.txt"
    listed = re.search(r"^dependencies\s*=\s*\[\s*[^\]\s]", project, re.MULTILINE)
    return "." if listed or "install_requires" in setup else ""


def _python_test(folder: Folder, wanted: str) -> str:
    places = {name: folder.enter(name) for name in ("tests", "test")} | {"": folder}
    place = next((name for name, inside in places.items() if _tests_in(inside)), None)
    if place is None:
        return ""
    start = f" -s {place}" if place and not places[place].has("__init__.py") else ""
    if not any(name.startswith("test") for name in _tests_in(places[place])):
        start += " -p '*_test.py'"
    run = f"{_python_path(folder, bool(wanted))}python3 -m unittest discover{start}"
    return f"{_PYTHON_INSTALL} {wanted}\n{run}" if wanted else run


def _tests_in(folder: Folder) -> list[str]:
    return [name for name in folder.files() if _TEST_FILE.fullmatch(name)]


def _python_path(folder: Folder, installed: bool) -> str:
    """Return the assignment before a command that makes dependencies and `src` importable."""
    source = _source_folder(folder)
    paths = ([".deps", "."] if installed else []) + ([source] if source else [])
    return f"PYTHONPATH={':'.join(paths)} " if paths else ""


def _source_folder(folder: Folder) -> str:
    inside = folder.enter("src")
    return "src" if any(inside.enter(name).files() for name in inside.folders()) else ""


def _python_command(
    folder: Folder, entry: str | None, dependencies: str, installed: bool
) -> tuple[str, ...]:
    run = _python_run(folder, entry, dependencies)
    path = _python_path(folder, installed)
    if not run:
        return ()
    return ("sh", "-c", f"{path}exec {run}") if path or "$" in run else tuple(run.split())


def _python_run(folder: Folder, entry: str | None, dependencies: str) -> str:
    if entry is None:
        return ""
    if entry.endswith("/"):
        return f"python3 -m {entry.strip('/').rpartition('/')[2]}"
    module = entry.removesuffix(".py")
    text = folder.read(entry)
    if entry == "manage.py":
        return "python3 manage.py runserver --noreload 127.0.0.1:$PORT"
    made = re.search(r"^(\w{1,40})\s*=\s*(FastAPI|Starlette|Flask)\(", text, re.MULTILINE)
    serves_itself = "__main__" in text
    if made and made[2] == "Flask" and not serves_itself:
        return f"python3 -m flask --app {module}:{made[1]} run --port $PORT"
    if made and made[2] != "Flask" and re.search(r"\buvicorn|fastapi\b", dependencies):
        return f"python3 -m uvicorn {module}:{made[1]} --port $PORT"
    return f"python3 {entry}"


def node(folder: Folder) -> Recipe | None:
    """Read a Node program from ``package.json``."""
    if not folder.has("package.json"):
        return None
    package = _json(folder.read("package.json"))
    scripts = _texts(package.get("scripts"))
    wanted = bool(_texts(package.get("dependencies")) or _texts(package.get("devDependencies")))
    locked = folder.first("package-lock.json", "npm-shrinkwrap.json") is not None
    install = ("npm ci" if locked else "npm install") if wanted else ""
    # What `npm init` writes into every package is not a test.
    tested = "test" in scripts and "no test specified" not in scripts["test"]
    build = [install, "npm run build" if "build" in scripts else ""]
    test = [install, "npm test"] if tested else []
    command, entry = _node_command(folder, package, scripts)
    return Recipe(
        language="Node",
        build="\n".join(filter(None, build)),
        test="\n".join(filter(None, test)),
        command=command,
        network=wanted,
        source=folder.read(entry),
    )


def _node_command(
    folder: Folder, package: dict[str, Any], scripts: dict[str, str]
) -> tuple[tuple[str, ...], str]:
    start = re.fullmatch(r"node ((?:\./)?[\w./-]{1,200})", scripts.get("start", ""))
    if start:  # without npm in between, signals reach the program
        return ("node", start[1]), start[1].removeprefix("./")
    if "start" in scripts:
        return ("npm", "start"), ""
    main = package.get("main")
    names = [main] if isinstance(main, str) else []
    entry = folder.first(*names, "server.js", "index.js", "app.js", "main.js")
    return (("node", entry), entry) if entry else ((), "")


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> dict[str, str]:
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def go(folder: Folder) -> Recipe | None:
    """Read a Go program from ``go.mod``."""
    if not folder.has("go.mod"):
        return None
    package, source = ".", folder.read("main.go")
    commands = folder.enter("cmd").folders()
    if not source and len(commands) == 1 and re.fullmatch(r"[\w.-]+", commands[0]):
        package = f"./cmd/{commands[0]}"
        source = folder.enter("cmd").enter(commands[0]).read("main.go")
    return Recipe(
        language="Go",
        build=f"go build -o bin/server {package}",
        test="go test ./...",
        command=("./bin/server",) if source else (),
        network="require" in folder.read("go.mod"),
        source=source,
    )


def static(folder: Folder) -> Recipe | None:
    """Read a folder of web pages."""
    if not folder.has("index.html"):
        return None
    return Recipe(language="web pages", command=SERVE_FILES, source="PORT")


SERVE_FILES = ("sh", "-c", "exec python3 -m http.server --bind 127.0.0.1 $PORT")
"""Answers with the artifact's own files: a default that works for any folder."""

_LANGUAGES = (node, go, python, static)


def read_recipe(folder: Folder) -> Recipe | None:
    """Return how a program is built, tested and started; None if there is none.

    What the authors wrote down themselves (Makefile, Procfile, Dockerfile) wins over conventions.
    """
    recipe = next((found for read in _LANGUAGES if (found := read(folder))), None)
    targets = _make_targets(folder)
    found = recipe or Recipe(language="make" if targets else "unknown")
    image = () if found.command else _dockerfile(folder)
    command = _procfile(folder, found.language) or found.command or _make_start(targets) or image
    if recipe is None and not targets & {"build", "test"} and not command:
        return None
    return Recipe(
        language=found.language,
        build="make build" if "build" in targets else found.build,
        test="make test" if "test" in targets else found.test,
        suite=None if "test" in targets else found.suite,
        command=command,
        network=found.network or bool(targets & {"build", "test"}),
        source=found.source or _text_of(folder, command),
        containerized=bool(image) and command == image,
    )


def _text_of(folder: Folder, command: tuple[str, ...]) -> str:
    """Return all that is known of a program whose language has no reader."""
    files = [word.removeprefix("./") for word in " ".join(command).split()]
    return " ".join((*command, *(folder.read(name) for name in (*files, *_MAKEFILES))))


_MAKEFILES = ("Makefile", "GNUmakefile", "makefile")


def _make_targets(folder: Folder) -> set[str]:
    text = next(filter(None, map(folder.read, _MAKEFILES)), "")
    return set(re.findall(r"^([a-z][a-z0-9_-]*)\s*:(?!=)", text, re.MULTILINE))


def _make_start(targets: set[str]) -> tuple[str, ...]:
    start = next((name for name in ("serve", "start", "run") if name in targets), "")
    return ("make", "--silent", start) if start else ()


def _procfile(folder: Folder, language: str) -> tuple[str, ...]:
    web = re.search(r"^web:[ \t]*(\S.*?)\s*$", folder.read("Procfile"), re.MULTILINE)
    if not web or not _PRINTABLE.fullmatch(web[1]):
        return ()
    paths = f"PATH=.deps/bin:$PATH {_WITH_DEPENDENCIES}" if language == "Python" else ""
    return ("sh", "-c", f"{paths}exec {web[1]}")


def _dockerfile(folder: Folder) -> tuple[str, ...]:
    """Return the image's start command; Andon runs it as a process, without the image."""
    starts = re.findall(r"^(?:CMD|ENTRYPOINT)\s+(.+?)\s*$", folder.read("Dockerfile"), re.MULTILINE)
    if len(starts) != 1 or not _PRINTABLE.fullmatch(starts[0]):
        return ()
    if not starts[0].startswith("["):
        return ("sh", "-c", f"exec {re.sub(_BARE_PYTHON, 'python3', starts[0])}")
    try:
        words = json.loads(starts[0])
    except (ValueError, RecursionError):
        return ()
    usable = isinstance(words, list) and words and all(isinstance(word, str) for word in words)
    if not usable or not shlex.join(words).isprintable():
        return ()
    return (re.sub(_BARE_PYTHON, "python3", words[0]), *words[1:])


_BARE_PYTHON = re.compile(r"^python(?=\s|$)")
"""Images have a `python`; machines often only have a `python3`."""
