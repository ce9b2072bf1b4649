"""``andon pipeline feedback``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from andon.cli.output import faint, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.duration import format_duration
from andon.kernel.errors import NotFound, UsageError

if TYPE_CHECKING:
    from andon.client.wire import Client

Json = dict[str, Any]
_COLORS = {"healthy": "green", "burning": "yellow", "exhausted": "red"}


@click.command("feedback")
@click.argument("repository", default="")
@flags
@click.pass_obj
def command(session: Session, repository: str) -> None:
    """Tell how fast a commit learns whether it is good, and what would make that faster.

    REPOSITORY: its name, as in the page's address; the only one there is if none is named.
    """
    from andon.client.wire import part

    client = session.client
    name = repository or _only(client)
    show(session, client.get(f"/repositories/{part(name)}/feedback"), tell)


def _only(client: Client) -> str:
    names = [row["name"] for row in client.get("/repositories")]
    if not names:
        raise NotFound("nothing was shipped yet", hint="andon ship")
    if len(names) > 1:
        known = ", ".join(names)
        raise UsageError("there are several repositories", hint=f"name one of: {known}")
    return str(names[0])


def tell(told: Json) -> Iterator[str]:
    """Tell the speed of feedback, in lines for people."""
    yield from _coffee(told["coffee"])
    if told["path"]:
        yield ""
        yield from _path(told["run"], told["path"])
    if told["batches"]:
        yield ""
        yield strong("Waits to be deployed")
        yield from table(
            ("ENVIRONMENT", "RUNS", "CHANGES", "FILES", "OLDEST WAITS"),
            [_batch(one) for one in told["batches"]],
            "",
        )
    if told["branches"]:
        yield ""
        yield strong("Away from the trunk")
        rows = [
            (one["ref"], format_duration(one["ageSeconds"]), one["change"])
            for one in told["branches"]
        ]
        yield from table(("BRANCH", "SINCE", "CHANGE"), rows, "")


def _coffee(coffee: Json) -> Iterator[str]:
    limit = format_duration(coffee["limitSeconds"])
    if coffee["state"] == "no-data":
        yield f"{strong('Coffee budget')} of {limit}: no data, as no build has had a verdict yet"
        return
    state = click.style(coffee["state"], fg=_COLORS[coffee["state"]])
    yield (
        f"{strong('Coffee budget')} of {limit}: {state}, {coffee['late']} of the last "
        f"{coffee['verdicts']} verdicts came later; {coffee['allowed']} of {coffee['window']} may"
    )
    yield (
        f"  burn rate {coffee['burnRate']:.1f}, median {format_duration(coffee['medianSeconds'])}, "
        f"slowest {format_duration(coffee['slowestSeconds'])} ({coffee['slowest']}); the true share of "
        f"late ones is {coffee['low']:.0%} to {coffee['high']:.0%}"
    )


def _path(run: str, path: Json) -> Iterator[str]:
    yield f"{strong('Critical path')} of {run}: {format_duration(path['totalSeconds'])}"
    rows = [
        (
            f"  {one['job']}",
            format_duration(one["ranSeconds"]),
            f"{format_duration(one['waitedSeconds'])} for {one['waitedFor']}"
            if one["waitedSeconds"] >= 0.05
            else "-",
        )
        for one in path["stretches"]
    ]
    yield from table(("  JOB", "RAN", "WAITED"), rows, "  nothing ran")
    for one in path["advice"]:
        yield f"  {one['text']}"
    if path["tailSeconds"] >= 0.05:
        yield faint(f"  {format_duration(path['tailSeconds'])} went by after the last job")


def _batch(one: Json) -> tuple[str, ...]:
    return (
        one["environment"],
        one["deployed"] or "nothing",
        str(one["changes"]),
        "-" if one["paths"] is None else str(one["paths"]),
        f"{format_duration(one['oldestSeconds'])} ({one['oldest']})" if one["oldest"] else "-",
    )
