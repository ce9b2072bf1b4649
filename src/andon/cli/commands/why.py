"""``andon why``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import clock_time, faint, first_line, show, state, strong
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.duration import format_duration
from andon.kernel.errors import NotFound


@click.command()
@click.argument("subject", required=False, default="")
@click.option("--environment", "-e", default="", help="Only there.")
@flags
@click.pass_obj
def command(session: Session, subject: str, environment: str) -> None:
    """Explain what holds a change, service, environment, run or digest, and what would open it.

    Without SUBJECT: the newest change.
    """
    subject = subject or _newest_change(session)
    answer = session.client.get("/why", {"subject": subject, "environment": environment})
    show(session, answer, tell_why)


def _newest_change(session: Session) -> str:
    changes: list[dict[str, Any]] = session.client.get("/status")["changes"]
    if not changes:
        raise NotFound(
            "nothing was shipped yet", hint="`andon ship` carries a commit to production"
        )
    name: str = changes[0]["name"]
    return name


def tell_why(answer: dict[str, Any]) -> list[str]:
    """Write the explanation for people."""
    word = click.style("open", fg="green") if answer["open"] else click.style("stopped", fg="red")
    lines = [f"{answer['kind']} {strong(answer['subject'])}: {word}"]
    if answer.get("summary"):
        lines.append(f"  {first_line(answer['summary'])}")
    for hold in answer["holds"]:
        first, *more = hold["reason"].split("\n")
        lines += [f"  held by {hold['source']}: {first}", *(f"    | {one}" for one in more)]
        lines.append(_opens(hold))
    for one in answer["missing"]:
        where = f" for {one['environment']}" if one["environment"] else ""
        said = f" ({one['reason']})" if one.get("person") and one.get("reason") else ""
        lines += [f"  missing Evidence{where}: {one['check']}{first_line(said)}", _opens(one)]
    if answer.get("approvals"):
        lines += ["", strong("Approvals"), *(_approval(one) for one in answer["approvals"])]
    if answer["evidence"]:
        lines += ["", strong("Evidence"), *(_evidence(one) for one in answer["evidence"])]
    if answer["story"]:
        lines += ["", strong("Story"), *_story(answer["story"])]
    return lines


def _opens(one: dict[str, Any]) -> str:
    return f"    opens with: {one['opens']}" if one.get("opens") else "    opens by itself"


def _approval(one: dict[str, Any]) -> str:
    who = one["by"].removeprefix("person:")
    gone = faint(" (withdrawn)") if one["withdrawnAt"] else ""
    return f"  {one['environment']} by {who}: {first_line(one['reason'])}{gone}"


def _evidence(one: dict[str, Any]) -> str:
    return f"  {state(one['verdict'])} {one['check']}: {first_line(one['message']) or faint(one['source'])}"


def _story(story: list[dict[str, Any]]) -> list[str]:
    return [_moment(one, story[0]["at"]) for one in story]


def _moment(one: dict[str, Any], began: float) -> str:
    since = f"+{format_duration(max(0.0, one['at'] - began))}"
    return f"  {clock_time(one['at'])} {faint(since.rjust(9))}  {one['text']}"
