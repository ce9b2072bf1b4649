"""Task runner: `nox -l` lists what there is; `make demo` and `make test` call it."""

from __future__ import annotations

import os
import time

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "test"]

ON_EVERY_CORE = ("-n", "auto", "--dist", "loadfile")
"""For suites that compute or wait; the browser has the machine for itself."""
CHECKED = ["src", "tests", "bench", "docs", "noxfile.py"]
SUITES = {
    "architecture": ["tests/architecture"],
    "unit": [
        *("tests/unit", "src/andon", "--doctest-modules", "--ignore=src/andon/testing"),
        *ON_EVERY_CORE,
    ],
    "property": ["tests/property", *ON_EVERY_CORE],
    "fuzz": ["tests/fuzz", *ON_EVERY_CORE],
    "conformance": ["tests/conformance", *ON_EVERY_CORE],
    "scenario": ["tests/scenario", "-n", "auto"],
    "crash and soak": ["tests/crash", "tests/soak", *ON_EVERY_CORE],
    "integration": ["tests/integration", *ON_EVERY_CORE],
    "browser": ["tests/browser"],
    "docs": ["tests/docs", *ON_EVERY_CORE],
    "end-to-end": ["tests/e2e", *ON_EVERY_CORE],
}


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, types and import contracts."""
    session.run("ruff", "format", "--check", *CHECKED, external=True)
    session.run("ruff", "check", *CHECKED, external=True)
    session.run("mypy", external=True)
    session.run("lint-imports", "--no-cache", external=True)
    session.run("codespell", "src", "docs", "README.md", "CONTRIBUTING.md", external=True)


@nox.session
def test(session: nox.Session) -> None:
    """Every suite, and how long each took."""
    only = session.posargs or list(SUITES)
    took, failed = {}, []
    for name in only:
        start = time.monotonic()
        try:
            session.run("pytest", "-q", *SUITES[name], external=True)
        except nox.command.CommandFailed:
            failed.append(name)
        took[name] = time.monotonic() - start
    for name, seconds in took.items():
        session.log(f"{name:14} {seconds:6.1f} s")
    session.log(f"{'all':14} {sum(took.values()):6.1f} s")
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session
def sabotage(session: nox.Session) -> None:
    """Disable each safety in turn; the tests must notice."""
    session.run("python", "tests/sabotage/run.py", *session.posargs, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios against a floor or a peer, in one run."""
    session.run("python", "-m", "bench", *session.posargs, external=True)


@nox.session
def certify(session: nox.Session) -> None:
    """What takes long: a kill at every point of every scenario, real projects, a million events, the judge."""
    session.run("pytest", "-q", "tests/crash", env={"ANDON_CERTIFY": "1"}, external=True)
    real = "tests/e2e/test_real_projects.py"
    session.run("pytest", "-q", real, env={"ANDON_CERTIFY": "1"}, external=True)
    session.run("python", "-m", "bench.million", external=True)
    session.run("python", "-m", "bench.certify_judge", "--runs", "5000", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Write what is generated: kinds, JSON Schema, the API's document and its client."""
    session.run("python", "docs/generate_kinds.py", external=True)
    session.run("python", "docs/generate_api.py", external=True)


@nox.session
def demo(session: nox.Session) -> None:
    """The whole loop on real input."""
    os.environ.pop("ANDON_STATE", None)
    session.run("andon", "demo", *session.posargs, external=True)
