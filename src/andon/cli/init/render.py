"""Write what was found as a short ``andon.yaml`` with comments."""

from __future__ import annotations

import json
import re
import textwrap

from andon.cli.init.inspect_folder import Findings, ServiceFindings
from andon.cli.init.pytest_suite import JUNIT, RUN, PytestSuite

_HEAD = """\
# How {name} goes from a commit to production. Check this file: andon validate
# Lines marked CHOICE hold a default because nothing better was found here.

"""

_PIPELINE = """\
# The Pipeline turns a commit into artifacts and Evidence; each job runs in a work tree of its own.
apiVersion: andon/v1
kind: Pipeline
metadata:
  name: {name}
spec:
  jobs:
{jobs}"""

_SERVICE = """\
---
# A program that answers requests on $PORT.
apiVersion: andon/v1
kind: Service
metadata:
  name: {name}
spec:
{choice}  command: {command}
  artifact: {artifact}
  health:
    path: {health}{health_choice}
"""

_ENVIRONMENTS = """\
---
# Where every change goes first.
apiVersion: andon/v1
kind: Environment
metadata:
  name: dev
spec:
{requires}  rollout:
    strategy: rolling
    soakSeconds: 2
---
# Production: the new version takes a share of the visitors and is judged at every step against the
# one that runs. The first release, with nothing beside it, only has to soak.
apiVersion: andon/v1
kind: Environment
metadata:
  name: prod
spec:
  after: dev
{requires}  rollout:
    # A step needs a few hundred requests for its verdict; without visitors it waits, and says so.
    # A service that hardly anyone uses is better off with: strategy: rolling
    strategy: canary
    # CHOICE: short, so that the first day is not spent waiting. Real users deserve minutes.
    steps:
      - {{weight: 10, minSeconds: 10}}
      - {{weight: 50, minSeconds: 10}}
      - {{weight: 100, minSeconds: 10}}
    soakSeconds: 10
"""

_PROMISE = """\
---
# CHOICE: what its users may expect; a release that breaks it is rolled back.
apiVersion: andon/v1
kind: Objective
metadata:
  name: {name}
spec:
  service: {name}
  availability: 0.99
---
# How requests reach it. Each environment gets a free local port, unless you choose with `listen`.
apiVersion: andon/v1
kind: Route
metadata:
  name: {name}
spec:
  service: {name}
  # listen: {{dev: 8080, prod: 8081}}
"""


def render_andon_yaml(findings: Findings) -> str:
    """Return the text of an ``andon.yaml`` that is valid for any findings."""
    checks = [_job_name("test", s, findings) for s in findings.services if s.test]
    parts = [_HEAD.format(name=findings.name), _pipeline(findings)]
    parts += [_service(service, findings) for service in findings.services]
    parts.append(_ENVIRONMENTS.format(requires=_requires(checks)))
    parts += [_PROMISE.format(name=service.name) for service in findings.services]
    return "".join(parts)


def _requires(checks: list[str]) -> str:
    if checks:
        return f"  requires: [{', '.join(checks)}]\n"
    return "  # CHOICE: no tests were found, so none are required.\n  # requires: [test]\n"


def _job_name(what: str, service: ServiceFindings, findings: Findings) -> str:
    return what if len(findings.services) == 1 else f"{what}-{service.name}"


def _pipeline(findings: Findings) -> str:
    jobs = "".join(_jobs(service, findings) for service in findings.services)
    if not jobs:
        jobs = (
            "    # CHOICE: nothing to build or test was found; put your commands here.\n"
            '    build:\n      run: "true"\n'
        )
    return _PIPELINE.format(name=findings.name, jobs=jobs)


def _jobs(service: ServiceFindings, findings: Findings) -> str:
    test, build = _job_name("test", service, findings), _job_name("build", service, findings)
    written = ""
    if service.suite:
        written += _pytest_job(test, service.suite, service)
    elif service.test:
        written += _job(test, service.test, service, ())
    if service.build:
        written += _job(build, service.build, service, (test,) if service.test else ())
    return written


def _job(name: str, run: str, service: ServiceFindings, needs: tuple[str, ...]) -> str:
    enter = "" if service.path == "." else f"cd {service.path}\n"
    lines = [f"{name}:"]
    if needs:
        lines.append(f"  needs: [{', '.join(needs)}]")
    if "\n" in enter + run:
        lines += ["  run: |", *textwrap.indent(enter + run, "    ").splitlines()]
    else:
        lines.append(f"  run: {_quoted(run)}")
    if service.network:
        lines.append("  network: true # may fetch dependencies")
    return textwrap.indent("\n".join(lines) + "\n", "    ")


_PYTEST = """\
{name}:
  steps:
    # A virtual environment of its own; it is kept while the files of requirements are the same.
    - uses: python
      with:
{wanted}\
        run: {run}
  reports:
    junit: [{report}]
  network: true # may fetch dependencies
"""


def _pytest_job(name: str, suite: PytestSuite, service: ServiceFindings) -> str:
    inside = "" if service.path == "." else f"{service.path}/"
    files = [f"{inside}{file}" for file in suite.requirements]
    packages = [
        f"./{service.path}{one[1:]}" if inside and one.startswith(".") else one
        for one in suite.packages
    ]
    wanted = ""
    for field, words in (("requirements", files), ("packages", packages)):
        if words:
            wanted += f"        {field}: [{', '.join(map(_quoted, words))}]\n"
    enter = f"cd {service.path} && " if inside else ""
    path = f"PYTHONPATH={suite.source} " if suite.source else ""
    text = _PYTEST.format(
        name=name, wanted=wanted, run=_quoted(f"{enter}{path}{RUN}"), report=f"{inside}{JUNIT}"
    )
    return textwrap.indent(text, "    ")


def _service(service: ServiceFindings, findings: Findings) -> str:
    artifact = f"{{path: {_quoted(service.path)}}}"
    if service.build:
        build = _job_name("build", service, findings)
        artifact = f"{{job: {build}, path: {_quoted(service.path)}}}"
    choice = ""
    if "command" in service.guessed:
        choice = "  # CHOICE: no start command was found; this one serves the folder's own files.\n"
    elif "image" in service.guessed:
        choice = (
            "  # CHOICE: from the Dockerfile, run as a process: its ENV and RUN do not apply.\n"
        )
    elif "port" in service.guessed:
        choice = "  # CHOICE: the program must listen on $PORT; it does not seem to read it.\n"
    return _SERVICE.format(
        name=service.name,
        choice=choice,
        command=f"[{', '.join(_quoted(word) for word in service.command)}]",
        artifact=artifact,
        health=service.health_path,
        health_choice=" # CHOICE: answers 2xx or 3xx when ready"
        if "health" in service.guessed
        else "",
    )


_NUMBER = re.compile(r"\.[0-9]|\.(inf|nan)", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z./][\w./-]*( [\w./-]+)*", re.ASCII)
_WORDS_OF_YAML = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def _quoted(text: str) -> str:
    """Write text as a YAML scalar: plain where no reader could take it for anything but text.

    >>> print(_quoted("./bin/server"), _quoted("true"), _quoted("1.5"), _quoted("a: b"))
    ./bin/server "true" "1.5" "a: b"
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML and not _NUMBER.match(text):
        return text
    return json.dumps(text, ensure_ascii=False)
