"""``andon status``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import faint, first_line, sha, show, state, strong, table
from andon.cli.root import flags
from andon.cli.session import Session


@click.command()
@click.option("--environment", "-e", default="", help="Only this one.")
@flags
@click.pass_obj
def command(session: Session, environment: str) -> None:
    """Show what runs where and what moves."""
    status = session.client.get("/status", {"environment": environment})
    show(session, {**status, "page": session.page}, _tell)


def _tell(status: dict[str, Any]) -> list[str]:
    lines = table(
        ("ENVIRONMENT", "SERVICE", "VERSION", "WEIGHT", "READY", "STATE", "ADDRESS"),
        [_row(one) for one in status["services"]],
        "nothing runs yet: `andon ship`",
    )
    if status.get("paused"):
        lines += ["", f"{strong('Paused')}: {status['paused']}; `andon admin resume` goes on"]
    changes = [_change(one) for one in status["changes"]]
    if changes:
        lines += ["", *table(("CHANGE", "STATE", "MESSAGE"), changes, "")]
    for hold in status["holds"]:
        lines += [
            "",
            f"{strong('Held')} {hold['scopeText']}: {first_line(hold['reason'])}",
            f"  {hold['opens']}",
        ]
    for part, field in (("agent", "error"), ("gateway", "message")):
        if said := (status.get(part) or {}).get(field):
            lines += ["", f"{strong(part)}: {said}"]
    for one in status["services"]:
        if one["message"]:
            lines += [
                "",
                f"{strong('trouble')} {one['environment']}/{one['service']}: {one['message']}",
            ]
    for subject, problem in (status.get("problems") or {}).items():
        lines += ["", f"{strong('problem')} {subject}: {problem}"]
    if status.get("page"):
        lines += ["", faint(f"page: {status['page']}")]
    return lines


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    version, canary = one.get("version") or {}, one.get("canary")
    replicas = one.get("replicas") or {}
    return (
        one["environment"],
        one["service"],
        sha(version.get("sha") or version.get("digest") or ""),
        f"{one.get('weight', 0):g} %",
        f"{replicas.get('ready', 0)}/{replicas.get('wanted', 0)}",
        _moving(canary) if canary else "Held" if one.get("holds") else state(one.get("phase", "")),
        faint(one.get("address") or "-"),
    )


def _moving(canary: dict[str, Any]) -> str:
    run, version = canary.get("run") or {}, canary.get("version") or {}
    arriving = sha(version.get("sha") or version.get("digest") or "")
    return f"{arriving} at {run.get('weight', 0):g} % {state(run.get('phase', ''))}"


def _change(one: dict[str, Any]) -> tuple[str, ...]:
    message = first_line(one.get("statusMessage") or "")
    said = f" {faint(message)}" if message else ""
    return (one["name"], state(one["phase"]), first_line(one["message"])[:60] + said)
