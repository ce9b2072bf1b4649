"""``andon budget``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import faint, moment, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.duration import parse_duration
from andon.kernel.errors import UsageError

Json = dict[str, Any]
_COLORS = {"healthy": "green", "caution": "yellow", "frozen": "cyan", "exhausted": "red"}


@click.group()
def command() -> None:
    """See what services may still do by the error budget they have left."""


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List budgets as policies see them, worst first."""
    show(session, session.client.get("/budgets"), _tell_all)


@command.command("show")
@click.argument("policy")
@flags
@click.pass_obj
def show_(session: Session, policy: str) -> None:
    """Show a BudgetPolicy, how its budgets stand, and who has set it aside."""
    show(session, session.client.get(f"/budgets/{part(policy)}"), _tell)


@command.command("override")
@click.argument("policy")
@click.option("--environment", "-e", default="", help="Only there.")
@click.option("--service", "-s", default="", help="Only this one.")
@click.option("--for", "duration", required=True, metavar="DURATION", help="How long, such as 2h.")
@click.option("--reason", "-m", required=True, help="Why it cannot wait.")
@flags
@click.pass_obj
def override(
    session: Session, policy: str, environment: str, service: str, duration: str, reason: str
) -> None:
    """Set a BudgetPolicy aside for a while; the ledger says who did."""
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UsageError(str(error), hint="--for 2h") from None
    ask = {
        "environment": environment,
        "service": service,
        "seconds": seconds,
        "reason": reason,
    }
    made = session.client.post(f"/budgets/{part(policy)}/overrides", ask)
    show(
        session,
        made,
        lambda one: [f"{one['policy']} is set aside by {one['by']} until {moment(one['until'])}"],
    )


def _tell_all(found: list[Json]) -> list[str]:
    return _table(found, "no BudgetPolicy is in force: add one on the policy branch")


def _table(found: list[Json], none: str) -> list[str]:
    rows = [
        (
            f"{one['environment']}/{one['service']}",
            click.style(one["state"], fg=_COLORS.get(one["state"])),
            _share(one["remaining"]),
            "-" if one["burn"] is None else f"{one['burn']:.3g}",
            _effects(one),
            faint(one["policy"]),
        )
        for one in found
    ]
    return table(("SERVICE", "STATE", "LEFT", "BURN", "DEEDS", "POLICY"), rows, none)


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def _effects(one: Json) -> str:
    if one["override"]:
        return f"set aside ({one['override']})"
    return (
        ", ".join(f"{deed}: {effect}" for deed, effect in one["effects"].items()) or "all allowed"
    )


def _tell(one: Json) -> list[str]:
    lines = [strong(one["name"]), *_table(one["budgets"], "it sees no budget yet")]
    lines += [f"  {row['said']}" for row in one["budgets"] if row["effects"]]
    for made in one["overrides"]:
        state = "until" if made["inForce"] else "was over at"
        lines.append(
            faint(
                f"  {made['name']} by {made['by']} {state} {moment(made['until'])}: {made['reason']}"
            )
        )
    return lines
