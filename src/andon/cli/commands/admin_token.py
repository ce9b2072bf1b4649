"""``andon admin token``."""

from __future__ import annotations

import json
from typing import Any

import click

from andon.cli.output import moment, show, table
from andon.cli.roles import check_name, read_roles, role_option, roles_text, tell_notes
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.duration import parse_duration


@click.group()
def command() -> None:
    """Keep service tokens: how programs come in."""


@command.command("create")
@click.argument("name")
@role_option
@click.option("--owner", default="", metavar="USER", help="Acts as this user, within their rights.")
@click.option("--expires", default="90d", show_default=True, help="At most 366d.")
@flags
@click.pass_obj
def create(session: Session, name: str, roles: tuple[str, ...], owner: str, expires: str) -> None:
    """Make a token and print it, this once: alone on standard output, so that it can be piped."""
    ask = {
        "name": check_name(name, "token"),
        "owner": owner,
        "grants": read_roles(roles),
        "expiresSeconds": _seconds(expires),
    }
    answer = session.client.post("/tokens", ask)
    tell_notes(answer)
    if session.json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    click.echo(
        f"token {name}: {roles_text(answer['grants'])}, until {moment(answer['expiresAt'])}; "
        "keep it now, it is not shown again",
        err=True,
    )
    click.echo(answer["secret"])


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List tokens, without what lets anybody in."""
    show(session, session.client.get("/tokens"), _tell_all)


@command.command("revoke")
@click.argument("name")
@flags
@click.pass_obj
def revoke(session: Session, name: str) -> None:
    """Let nobody in by a token any more, from this moment on."""
    answer = session.client.delete(f"/tokens/{part(name)}")
    show(session, answer, lambda one: [f"token {one['name']} lets nobody in any more"])


@command.command("rotate-admin")
@flags
@click.pass_obj
def rotate_admin(session: Session) -> None:
    """Replace the generated administrator's token; sessions begun with the old one end."""
    answer = session.client.post("/tokens/admin/rotate", {})
    show(session, answer, lambda one: [f"the new token is in {one['file']}; the old one is void"])


def _tell_all(tokens: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            one["name"],
            roles_text(one["grants"]),
            one["owner"] or "-",
            _until(one),
            one["createdBy"],
        )
        for one in tokens
    ]
    none = "no tokens: andon admin token create NAME --role viewer"
    return table(("NAME", "ROLES", "OWNER", "UNTIL", "MADE BY"), rows, none)


def _until(one: dict[str, Any]) -> str:
    if one["revokedAt"]:
        return click.style(f"revoked {moment(one['revokedAt'])}", fg="red")
    return moment(one["expiresAt"]) if one["expiresAt"] else "for ever"
