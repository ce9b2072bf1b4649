"""``andon doctor``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import Unavailable

_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command()
@click.option("--port", type=int, default=None, help="Port the page would use.")
@click.option(
    "--config", metavar="FILE", default="", envvar="ANDON_CONFIG", help="As of `andon up`."
)
@flags
@click.pass_obj
def command(session: Session, port: int | None, config: str) -> int:
    """Check this machine and say how to mend it; 7 if something needed is missing."""
    from andon.cli.checkup import examine

    findings = [finding.as_json() for finding in examine(session.state, port, config)]
    ok = all(finding["level"] != "fail" for finding in findings)
    show(session, {"ok": ok, "findings": findings}, _tell)
    return 0 if ok else Unavailable.exit_code


def _tell(answer: dict[str, Any]) -> list[str]:
    return [line for finding in answer["findings"] for line in _finding(finding)]


def _finding(finding: dict[str, str]) -> list[str]:
    mark, color = _MARKS[finding["level"]]
    head = f"{click.style(mark, fg=color)}  {finding['check']:<15} {finding['found']}"
    return [head, *([f"      {'':<15} {finding['mend']}"] if finding["mend"] else [])]
