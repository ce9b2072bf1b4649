"""``andon login``, ``andon logout``, ``andon password`` and ``andon portal``."""

from __future__ import annotations

import os
import sys

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import UsageError


@click.command()
@click.argument("url")
@click.option("--ca-file", default="", metavar="FILE", help="Certificates to trust besides.")
@flags
@click.pass_obj
def command(session: Session, url: str, ca_file: str) -> None:
    """Work with a control plane elsewhere; its token is asked for, or read from standard input."""
    from andon.cli.logins import Login, keep_login, logins_file
    from andon.client.wire import Client, Server

    server = Server(url, ca_file=os.path.abspath(ca_file) if ca_file else "")
    server.token = _token(server.url)
    who = Client(server).get("/session")["identity"]
    keep_login(logins_file(os.environ), Login(server.url, server.token, server.ca_file))
    said = {"server": server.url, "identity": who}
    show(session, said, lambda one: [f"logged in at {one['server']} as {one['identity']['name']}"])


def _token(url: str) -> str:
    if sys.stdin.isatty():
        token: str = click.prompt(f"token for {url}", hide_input=True, err=True)
    else:
        token = sys.stdin.read()
    if not token.strip():
        raise UsageError(
            "no token was given",
            hint="an administrator makes one: andon admin token create NAME --role developer",
        )
    return token.strip()


@click.command()
@click.argument("url", default="")
@flags
@click.pass_obj
def logout(session: Session, url: str) -> None:
    """Forget the login at a server; the token itself stays good until it is revoked."""
    from andon.cli.logins import forget_login, logins_file

    gone = forget_login(logins_file(os.environ), url.rstrip("/"))
    show(session, {"server": gone}, lambda one: [f"logged out of {one['server']}"])


@click.command()
@flags
@click.pass_obj
def password(session: Session) -> None:
    """Give yourself another password; your sessions end. Without a terminal: two lines, old and new."""
    if sys.stdin.isatty():
        old = click.prompt("password until now", hide_input=True, err=True)
        new = click.prompt("new password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        old, new = (sys.stdin.readline().rstrip("\r\n") for _ in range(2))
    if not old or not new:
        raise UsageError("no password was given", hint="two lines on standard input: old and new")
    answer = session.client.post("/session/password", {"old": old, "new": new})
    show(session, answer, lambda one: [f"{one['name']} has another password; log in again"])


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Print the address, open nothing.")
@flags
@click.pass_obj
def portal(session: Session, only_print: bool) -> None:
    """Open the page in a browser, logged in; the address works once, within a minute."""
    code = session.client.post("/session/code", {})["code"]
    url = f"{session.page.rstrip('/')}/#code={code}"
    if not only_print and not session.json:
        click.launch(url)
    show(session, {"url": url}, lambda one: [one["url"]])
