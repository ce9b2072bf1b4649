"""``andon admin user``."""

from __future__ import annotations

import sys
from typing import Any

import click

from andon.cli.output import faint, moment, show, strong, table
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
from andon.kernel.errors import UsageError

_notify = click.option(
    "--notify",
    multiple=True,
    metavar="URL",
    help="Where to tell what concerns them: https://… of a Slack-compatible webhook, or mailto:….",
)
_password = click.option(
    "--password",
    is_flag=True,
    help="Ask for a password; without a terminal, read it from standard input.",
)


@click.group()
def command() -> None:
    """Keep the people who may come in."""


@command.command("add")
@click.argument("name")
@click.option(
    "--email", "emails", multiple=True, help="Commits are known by it; the first gets notices."
)
@role_option
@_password
@_notify
@flags
@click.pass_obj
def add(
    session: Session,
    name: str,
    emails: tuple[str, ...],
    roles: tuple[str, ...],
    password: bool,
    notify: tuple[str, ...],
) -> None:
    """Let somebody in: by a password, by a token of theirs, or by the OpenID provider."""
    ask: dict[str, Any] = {
        "name": check_name(name, "user"),
        "emails": list(emails),
        "grants": read_roles(roles),
        "notify": list(notify),
    }
    if password:
        ask["password"] = _ask_password(name)
    answer = session.client.post("/users", ask)
    tell_notes(answer)
    show(session, answer, _tell)


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List users."""
    show(session, session.client.get("/users"), _tell_all)


@command.command("show")
@click.argument("name")
@flags
@click.pass_obj
def show_(session: Session, name: str) -> None:
    """Show a user."""
    show(session, session.client.get(f"/users/{part(name)}"), _tell)


@command.command("change")
@click.argument("name")
@role_option
@without_role_option
@click.option("--email", "emails", multiple=True, help="One more address.")
@click.option("--without-email", "without_emails", multiple=True, help="Forget an address.")
@_notify
@click.option("--no-notify", is_flag=True, help="Tell them nothing.")
@_password
@click.option("--no-password", is_flag=True, help="Let them in by password no more.")
@click.option("--disable/--enable", "disabled", default=None, help="Let nobody in by this name.")
@click.option("--unlock", is_flag=True, help="Forget wrong passwords.")
@click.option("--unlink", is_flag=True, help="Forget who they are at the OpenID provider.")
@flags
@click.pass_obj
def change(session: Session, /, name: str, **wish: Any) -> None:
    """Change a user; what is not named stays. A new password ends their sessions."""
    seen = session.client.get(f"/users/{part(name)}")
    ask = _wished(name, seen, wish)
    if not ask:
        raise UsageError("nothing is to be changed", hint=f"andon admin user show {name}")
    answer = patch(session, f"/users/{part(name)}", seen, ask)
    tell_notes(answer)
    show(session, answer, _tell)


def _wished(name: str, seen: dict[str, Any], wish: dict[str, Any]) -> dict[str, Any]:
    ask: dict[str, Any] = {}
    if wish["roles"] or wish["without_roles"]:
        more, less = read_roles(wish["roles"]), read_roles(wish["without_roles"])
        ask["grants"] = changed(seen["grants"], more, less, "a role")
    if wish["emails"] or wish["without_emails"]:
        more, less = ([one.lower() for one in wish[key]] for key in ("emails", "without_emails"))
        ask["emails"] = changed(seen["emails"], more, less, "an address")
    if wish["notify"] or wish["no_notify"]:
        ask["notify"] = list(wish["notify"])
    if wish["password"] and wish["no_password"]:
        raise UsageError("either a new password or none", hint="--password or --no-password")
    if wish["password"] or wish["no_password"]:
        ask["password"] = _ask_password(name) if wish["password"] else ""
    if wish["disabled"] is not None:
        ask["disabled"] = wish["disabled"]
    ask |= {name: True for name in ("unlock", "unlink") if wish[name]}
    return ask


@command.command("remove")
@click.argument("name")
@flags
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Forget a user, with their tokens and sessions."""
    answer = session.client.delete(f"/users/{part(name)}")
    show(session, answer, lambda one: [f"{one['name']} gets in no more"])


def _ask_password(name: str) -> str:
    """Ask twice at a terminal; elsewhere read a line. Never an argument: others see those."""
    if sys.stdin.isatty():
        password: str = click.prompt(
            f"password for {name}", hide_input=True, confirmation_prompt=True, err=True
        )
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise UsageError("no password was given", hint="one line on standard input")
    return password


def _tell_all(users: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            one["name"],
            _state(one),
            roles_text(one["grants"]),
            " ".join(one["teams"]) or "-",
            " ".join(one["emails"]) or "-",
        )
        for one in users
    ]
    none = "no users yet: andon admin user add NAME --role developer --password"
    return table(("NAME", "STATE", "ROLES", "TEAMS", "ADDRESSES"), rows, none)


def _tell(one: dict[str, Any]) -> list[str]:
    ways = [
        *(["a password"] if one["hasPassword"] else []),
        *([one["subject"]] if one["subject"] else []),
    ]
    lines = [
        f"{strong(one['name'])} {_state(one)}",
        f"  roles      {roles_text(one['grants'])}",
        f"  teams      {' '.join(one['teams']) or '-'}",
        f"  addresses  {' '.join(one['emails']) or '-'}",
        f"  logs in by {', '.join(ways) or faint('neither password nor provider')}",
    ]
    lines += [f"  told at    {place}" for place in one["notify"]]
    if one["lockedUntil"]:
        lines.append(
            f"  locked     until {moment(one['lockedUntil'])}: andon admin user change {one['name']} --unlock"
        )
    return lines


def _state(one: dict[str, Any]) -> str:
    if one["disabled"]:
        return click.style("disabled", fg="red")
    return click.style("locked", fg="yellow") if one["lockedUntil"] else "active"
