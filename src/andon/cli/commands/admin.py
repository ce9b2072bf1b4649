"""``andon admin``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from andon.cli.commands import admin_team, admin_token, admin_user, units
from andon.cli.output import moment, say, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.errors import Drifted, TimedOut, Unavailable, UsageError, from_code

POLL_SECONDS = 0.1
AWAY_SECONDS = 90.0
"""How long the control plane may be away while it goes on with another database."""
KEEP, ENFORCE = "keep-world", "enforce-copy"

_file = click.Path(dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Back up, restore, move or pause Andon itself; say who may come in."""


command.add_command(units.command)
command.add_command(admin_user.command, "user")
command.add_command(admin_team.command, "team")
command.add_command(admin_token.command, "token")


@command.command("pause")
@click.option("--reason", "-m", required=True, help="Why, for the people who will ask.")
@flags
@click.pass_obj
def pause(session: Session, reason: str) -> None:
    """Have no work begun, by any worker; what runs goes on running."""
    state = session.client.post("/admin/pause", {"reason": reason})
    show(session, state, lambda one: [f"paused: {one['paused']}", "`andon admin resume` goes on"])


@command.command("resume")
@click.option("--keep-world", is_flag=True, help="Go on from what really runs.")
@click.option("--enforce-copy", is_flag=True, help="Go back to what the copy says.")
@click.option("--check", is_flag=True, help="Only compare; 12 if something differs.")
@flags
@click.pass_obj
def resume(session: Session, keep_world: bool, enforce_copy: bool, check: bool) -> int:
    """Go on; a restored copy is compared with the world first.

    Where they differ nothing happens until a person says which of them counts.
    """
    if keep_world and enforce_copy:
        raise UsageError(
            "either the world counts or the copy", hint="--keep-world or --enforce-copy"
        )
    choice = KEEP if keep_world else ENFORCE if enforce_copy else ""
    answer = _resume(session, choice, check)
    undecided = answer["differences"] and not answer["resumed"] and not check
    if undecided and session.live:
        for line in _tell_resumed(answer):
            say(session, line)
        chosen = click.prompt("which counts", type=click.Choice([KEEP, ENFORCE, "neither"]))
        if chosen != "neither":
            answer = _resume(session, chosen, False)
    show(session, answer, _tell_resumed)
    return Drifted.exit_code if answer["differences"] and not answer["resumed"] else 0


def _resume(session: Session, choice: str, check: bool) -> dict[str, Any]:
    ask = {"choice": choice, "check": check}
    answer: dict[str, Any] = session.client.post("/admin/resume", ask)
    return answer


@command.command("migrate")
@click.option(
    "--to",
    required=True,
    envvar="ANDON_MIGRATE_TO",
    metavar="URL",
    help="postgresql://… (or $ANDON_MIGRATE_TO, which others cannot see).",
)
@click.option("--wait", default=30.0, show_default=True, help="Seconds for what is under way.")
@flags
@click.pass_obj
def migrate(session: Session, to: str, wait: float) -> None:
    """Move a running installation from its SQLite file to an empty Postgres database.

    Services go on; nothing is begun or written for the seconds that the copy takes. Killed at any
    moment, it can be run again. The old file is kept, and is not used any more.
    """
    session.client.post("/admin/migrate", {"to": to, "waitSeconds": wait})
    show(session, _follow(session), _tell_moved)


@command.command("backup")
@click.argument("file", type=_file)
@click.option("--verify", is_flag=True, help="Check a backup that was made; 11 if it was altered.")
@click.option("--without-artifacts", is_flag=True, help="Leave out what can be built again.")
@flags
@click.pass_obj
def backup(session: Session, file: Path, verify: bool, without_artifacts: bool) -> None:
    """Write a backup of Andon itself while it runs: one file, with the signing keys, so keep it safe."""
    if verify:
        from andon.app.upkeep.backup import verify_backup

        show(session, verify_backup(file), _tell_backup)
        return
    path = str(file.absolute())
    session.client.post("/admin/backup", {"path": path, "artifacts": not without_artifacts})
    show(session, _follow(session), _tell_backup)


@command.command("restore")
@click.argument("file", type=_file)
@click.option(
    "--database",
    default="",
    envvar="ANDON_DATABASE_URL",
    metavar="URL",
    help="Empty database to restore into, used from then on; else a file in the state folder.",
)
@flags
@click.pass_obj
def restore(session: Session, file: Path, database: str) -> None:
    """Restore a backup into a state folder whose database is empty; nothing may run there.

    The restored installation is paused until `andon admin resume` has compared it with the world.
    """
    from andon.app.lock import hold_state, prepare_state
    from andon.app.upkeep.restore import restore as put_back
    from andon.cli.engine_options import database as checked
    from andon.runtime.system import SystemClock

    clock = SystemClock()
    state = session.state.resolve()
    prepare_state(state)
    with hold_state(state, {"startedAt": clock.now()}):
        answer = put_back(file, state, checked(database), clock, _saying(session))
    show(session, answer, _tell_restored)


# --- following an errand --------------------------------------------------------------------------


def _saying(session: Session) -> Any:
    said = [""]

    def tell(text: str) -> None:
        phase = text.partition(":")[0]
        if session.live:
            click.echo(f"\r\033[K{text}", nl=False, err=True)
        elif not session.json and phase != said[0]:
            click.echo(text, err=True)
        said[0] = phase

    return tell


def _follow(session: Session) -> dict[str, Any]:
    """Wait for the errand's end, over a moment in which nobody answers."""
    tell = _saying(session)
    answered = time.monotonic()
    while True:
        try:
            errand = session.client.get("/admin/errand")
        except (Unavailable, TimedOut):
            if time.monotonic() - answered > AWAY_SECONDS:
                raise
        else:
            answered = time.monotonic()
            if errand["state"] == "failed":
                error = errand["error"]
                raise from_code(error["code"], error["detail"], error["hint"])
            if errand["state"] == "done":
                if session.live:
                    click.echo("\r\033[K", nl=False, err=True)
                if not errand["name"]:
                    raise Unavailable(
                        "the control plane was started again meanwhile", hint="run it again"
                    )
                result: dict[str, Any] = errand["result"]
                return result
            tell(errand["progress"])
        time.sleep(POLL_SECONDS)


# --- telling --------------------------------------------------------------------------------------


def _tell_moved(answer: dict[str, Any]) -> list[str]:
    rows = sum(answer["tables"].values())
    return [
        f"moved to {answer['to']}: {rows} rows, {answer['events']} of them events, every table and"
        f" chain verified, in {answer['seconds']:.1f} s",
        f"{answer['kept']} is kept as it was left, and refused by `andon up`",
    ]


def _tell_backup(answer: dict[str, Any]) -> list[str]:
    keys = ", ".join(answer["keys"]) or "none"
    lines = [
        f"{answer['file']}: {answer['sizeBytes']} bytes, made {moment(answer['madeAt'])}",
        f"  {answer['rows']} rows of {answer['engine']}, {answer['events']} events verified",
        f"  desired state {answer['desired'][:12] or 'empty'}, {len(answer['artifacts'])} artifacts",
        f"  signing keys: {keys}; whoever has this file can sign as this installation"
        if answer["keys"]
        else "  signing keys: none",
    ]
    lines += _tell_key(answer, "is not in this file: keep a copy of it elsewhere")
    if answer["leftOut"]:
        lines.append(f"  left out, to be built again: {len(answer['leftOut'])} artifacts")
    return lines


def _tell_restored(answer: dict[str, Any]) -> list[str]:
    return [
        f"restored into {answer['database']}: {answer['rows']} rows, {answer['events']} events,"
        f" every digest and chain verified; desired state {answer['desiredState']}",
        f"{strong('paused')}: {answer['paused']}",
        *_tell_key(answer, "does not come with it: put it back before `andon up`"),
        *_tell_access(answer),
        "next: `andon up`, then `andon admin resume` compares it with the world",
    ]


def _tell_access(answer: dict[str, Any]) -> list[str]:
    """Say who comes in again: those who were shut out after the copy was made, too."""
    lines = [f"  sessions that ended: {answer['endedSessions']}"] if answer["endedSessions"] else []
    counts = [f"{noun} {', '.join(answer[noun])}" for noun in ("users", "tokens") if answer[noun]]
    if counts:
        lines.append(f"  who comes in, as when the copy was made: {'; '.join(counts)}")
        lines.append("  what was revoked since counts again: `andon admin token revoke NAME`")
    return lines


def _tell_key(answer: dict[str, Any], what: str) -> list[str]:
    """Say which key opens the secrets; by default a file of the state folder."""
    if not answer["sealedBy"]:
        return []
    return [f"  secrets: sealed by the key {answer['sealedBy']} (secrets.key), which {what}"]


def _tell_resumed(answer: dict[str, Any]) -> list[str]:
    rows = [
        (
            f"{one['environment']}/{one['service']}",
            one["copy"] or "-",
            one["world"] or "-",
            one["desired"] or "-",
        )
        for one in answer["differences"]
    ]
    lines = table(("WHERE", "THE COPY SAYS", "RUNS", "DESIRED"), rows, "") if rows else []
    if answer["resumed"]:
        return [*lines, "work goes on"]
    if rows:
        return [
            *lines,
            "",
            "the world is not as the copy says; nothing was changed. Which of them counts?",
            "  andon admin resume --keep-world    goes on from what really runs",
            "  andon admin resume --enforce-copy  rolls back to what the copy says",
        ]
    if not answer["paused"]:
        return ["work was not paused"]
    return [f"paused: {answer['paused']}", "nothing differs: `andon admin resume` goes on"]
