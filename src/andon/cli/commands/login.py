"""``andon login``, ``andon logout``, ``andon password`` and ``andon portal``."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

import click

from andon.cli.output import show
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import UsageError

if TYPE_CHECKING:
    from andon.client.wire import Client


@click.command()
@click.argument("url")
@click.option("--ca-file", default="", metavar="FILE", help="Certificates to trust besides.")
@click.option("--browser", is_flag=True, help="Ask a person in a browser, wherever that runs.")
@click.option("--with-token", is_flag=True, help="Ask for a token.")
@flags
@click.pass_obj
def command(session: Session, url: str, ca_file: str, browser: bool, with_token: bool) -> None:
    """Work with a control plane elsewhere.

    At a terminal you say yes in a browser, where you log in as you always do; otherwise a token is
    read from standard input.
    """
    from andon.cli.logins import Login, keep_login, logins_file
    from andon.client.wire import Client, Server

    if browser and with_token:
        raise UsageError("--browser and --with-token exclude each other")
    server = Server(url, ca_file=os.path.abspath(ca_file) if ca_file else "")
    if browser or (sys.stdin.isatty() and not with_token):
        server.token = _paired(Client(server), server.url, open_it=sys.stdin.isatty())
    else:
        server.token = _token(server.url)
    who = Client(server).get("/session")["identity"]
    keep_login(logins_file(os.environ), Login(server.url, server.token, server.ca_file))
    said = {"server": server.url, "identity": who}
    show(session, said, lambda one: [f"logged in at {one['server']} as {one['identity']['name']}"])


def _paired(client: Client, url: str, *, open_it: bool) -> str:
    """Ask in a browser whether this command line may act as whoever sits there."""
    asked = client.post("/session/pairings", {"machine": platform.node()})
    page = f"{url}/#pair={asked['code']}"
    click.echo(f"open {page}\nand say yes if it shows {asked['code']}", err=True)
    if open_it:
        click.launch(page)
    while True:
        answer = client.post("/session/pairing", {"secret": asked["secret"]})
        if answer["state"] == "allowed":
            token: str = answer["token"]
            return token


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
