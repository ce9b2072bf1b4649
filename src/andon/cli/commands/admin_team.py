"""``andon admin team``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.output import show, strong, table
from andon.cli.roles import (
    changed,
    check_name,
    patch,
    read_roles,
    role_option,
    roles_text,
    tell_notes,
    without_role_option,
)
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.errors import NotFound, UsageError


@click.group()
def command() -> None:
    """Keep teams: people who may do the same."""


@command.command("add")
@click.argument("name")
@click.option("--member", "members", multiple=True, help="A user; may be given again.")
@role_option
@flags
@click.pass_obj
def add(session: Session, name: str, members: tuple[str, ...], roles: tuple[str, ...]) -> None:
    """Make a team."""
    ask = {"name": check_name(name, "team"), "members": list(members), "grants": read_roles(roles)}
    answer = session.client.post("/teams", ask)
    tell_notes(answer)
    show(session, answer, _tell)


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List teams."""
    show(session, session.client.get("/teams"), _tell_all)


@command.command("change")
@click.argument("name")
@click.option("--member", "members", multiple=True, help="One more user.")
@click.option("--without-member", "without_members", multiple=True, help="One user less.")
@role_option
@without_role_option
@flags
@click.pass_obj
def change(session: Session, /, name: str, **wish: tuple[str, ...]) -> None:
    """Change a team; what is not named stays."""
    seen = _find(session, name)
    ask: dict[str, Any] = {}
    if wish["members"] or wish["without_members"]:
        ask["members"] = changed(
            seen["members"], wish["members"], wish["without_members"], "a member"
        )
    if wish["roles"] or wish["without_roles"]:
        more, less = read_roles(wish["roles"]), read_roles(wish["without_roles"])
        ask["grants"] = changed(seen["grants"], more, less, "a role")
    if not ask:
        raise UsageError("nothing is to be changed", hint="--member, --role, or without either")
    answer = patch(session, f"/teams/{part(name)}", seen, ask)
    tell_notes(answer)
    show(session, answer, _tell)


@command.command("remove")
@click.argument("name")
@flags
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Forget a team; its members stay, without what it brought them."""
    answer = session.client.delete(f"/teams/{part(name)}")
    show(session, answer, lambda one: [f"there is no team {one['name']} any more"])


def _find(session: Session, name: str) -> dict[str, Any]:
    for one in session.client.get("/teams"):
        if one["name"] == name:
            found: dict[str, Any] = one
            return found
    raise NotFound(f"there is no team {name!r}", hint="andon admin team list")


def _tell_all(teams: list[dict[str, Any]]) -> list[str]:
    rows = [
        (one["name"], roles_text(one["grants"]), " ".join(one["members"]) or "-") for one in teams
    ]
    none = "no teams yet: andon admin team add NAME --member USER --role developer"
    return table(("NAME", "ROLES", "MEMBERS"), rows, none)


def _tell(one: dict[str, Any]) -> list[str]:
    return [
        strong(one["name"]),
        f"  roles    {roles_text(one['grants'])}",
        f"  members  {' '.join(one['members']) or '-'}",
    ]
