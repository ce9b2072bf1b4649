"""``andon runs``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import clock_time, faint, moment, sha, show, state, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.duration import format_duration


@click.group()
def command() -> None:
    """List, show and cancel Runs."""


@command.command("list")
@click.option("--environment", "-e", default="", help="Only there.")
@click.option("--service", "-s", default="", help="Only of this service.")
@click.option("--change", "-c", default="", help="Only of this change.")
@click.option("--phase", default="", help="Only in this phase, such as Running.")
@click.option("--type", default="", help="build, rollout or rollback.")
@click.option("--limit", default=20, show_default=True, help="At most so many.")
@flags
@click.pass_obj
def list_(session: Session, /, **query: Any) -> None:
    """List Runs, newest first."""
    show(session, session.client.get("/runs", query), _tell_all)


@command.command("show")
@click.argument("name")
@flags
@click.pass_obj
def show_(session: Session, name: str) -> None:
    """Show a Run with its steps; the beginning of its name will do."""
    show(session, session.client.get(f"/runs/{part(name)}"), tell_run)


@command.command("cancel")
@click.argument("name")
@click.option("--reason", "-m", required=True, help="Why, for those who will ask.")
@flags
@click.pass_obj
def cancel_(session: Session, name: str, reason: str) -> None:
    """Have a Run end, wherever it stands, with its clean-up jobs."""
    answer = session.client.post(f"/runs/{part(name)}/cancel", {"reason": reason})
    show(session, answer, _tell_cancelled)


def _tell_cancelled(run: dict[str, Any]) -> list[str]:
    if run["phase"] == "Cancelled":
        return [f"{strong(run['name'])} is {state('Cancelled')}: {run['message']}"]
    outlook = run["cancellation"]["outlook"]
    return [f"cancelling {strong(run['name'])}: {outlook}", f"  andon runs show {run['name']}"]


def _tell_all(runs: list[dict[str, Any]]) -> list[str]:
    head = ("RUN", "TYPE", "WHERE", "COMMIT", "STATE", "STARTED")
    rows = [
        (
            run["name"],
            run["type"],
            _where(run),
            sha(run["sha"]),
            state(run["phase"]),
            faint(moment(run["startedAt"])),
        )
        for run in runs
    ]
    return table(head, rows, "no Runs: `andon ship` starts one")


def tell_run(run: dict[str, Any]) -> list[str]:
    """Write a Run with its steps for people."""
    lines = [f"{strong(run['name'])}  {run['type']} {_where(run)}  {state(run['phase'])}"]
    if run["message"]:
        lines.append(f"  {run['message']}")
    if run["canaryRequests"]:
        lines += [f"  {line}" for line in _counts(run)]
    return lines + table(("STEP", "STATE", "AT", "TOOK", ""), [_step(s) for s in run["steps"]], "")


def _where(run: dict[str, Any]) -> str:
    return f"{run['environment']}/{run['service']}" if run["environment"] else "-"


def _counts(run: dict[str, Any]) -> list[str]:
    return [
        f"weight {run['weight']:g} %, judge says {run['verdict'] or 'nothing yet'}",
        f"canary {run['canaryErrors']} errors in {run['canaryRequests']} requests, "
        f"stable {run['stableErrors']} in {run['stableRequests']}",
    ]


def _step(step: dict[str, Any]) -> tuple[str, ...]:
    began, ended = step["startedAt"], step["finishedAt"]
    took = format_duration(max(0.0, ended - began)) if began and ended else ""
    return (
        f"  {step['name']}",
        state(step["state"]),
        faint(clock_time(began)),
        took,
        _remark(step).strip().partition("\n")[0][:120],
    )


def _remark(step: dict[str, Any]) -> str:
    """Say what there is to say of a step, and which attempt it is, unless it is the first."""
    said = [f"attempt {step['attempt'] + 1}"] if step["attempt"] and not step["flaky"] else []
    return "; ".join([*said, *filter(None, [step["message"]])])
