"""``andon slo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from andon.cli.output import faint, moment, say, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.cli.slo_report import as_html, as_markdown
from andon.client.wire import part
from andon.kernel.duration import format_duration
from andon.kernel.errors import InvalidDocument, NotFound, StepFailed, UsageError

if TYPE_CHECKING:
    from andon.api.parse import Parsed

_NONE = (
    "no promises yet: every Service has two once it runs, and documents of kind Objective say more"
)
_BARS = "▁▂▃▄▅▆▇█"
_COLORS = {"met": "green", "missed": "red", "unknown": "yellow"}
_BUDGET_CELLS = 10


@click.group()
def command() -> None:
    """See what was promised of services, and how it stands."""


@command.command("list")
@click.option("--service", default="", help="Only of this service.")
@click.option("--environment", default="", help="Only there.")
@flags
@click.pass_obj
def list_(session: Session, service: str, environment: str) -> None:
    """List promises: what is left of their budgets, how fast it burns, and until when it lasts."""
    asked = {"service": service, "environment": environment}
    show(session, session.client.get("/objectives", asked), _tell_board)


@command.command("show")
@click.argument("name")
@click.option("--days", default=30.0, show_default=True, help="How long ago the history begins.")
@flags
@click.pass_obj
def show_(session: Session, name: str, days: float) -> int:
    """Show an Objective with its history. Exit code 8: it is missed, or unknown."""
    told = session.client.get(f"/objectives/{part(name)}", {"days": days})
    show(session, told, _tell_objective)
    kept = all(one["standing"]["state"] == "met" for one in told["promises"])
    return 0 if kept else StepFailed.exit_code


@command.command()
@click.argument("name", default="")
@click.option("--from", "begin", required=True, help="First day, such as 2026-10-01.")
@click.option("--to", "end", required=True, help="The day after the last one.")
@click.option("--zone", default="UTC", show_default=True, help="Whose days these are.")
@click.option("--service", default="", help="Only of this service.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "html"]),
    default="text",
    show_default=True,
)
@flags
@click.pass_obj
def report(
    session: Session, name: str, begin: str, end: str, zone: str, service: str, form: str
) -> None:
    """Say how promises were kept in a period, without what was agreed beforehand not to count."""
    first, last = _moment(begin, zone), _moment(end, zone)
    asked = {"begin": first, "end": last, "name": name, "service": service}
    told = session.client.get("/objectives/report", asked)
    if form == "text" or session.json:
        show(session, told, _tell_report)
    else:
        click.echo(as_markdown(told) if form == "markdown" else as_html(told))


@command.command()
@click.argument("name", default="")
@flags
@click.pass_obj
def export(session: Session, name: str) -> None:
    """Write Objectives as OpenSLO v1; what it has no field for is told on standard error."""
    told = session.client.get("/objectives/export", {"name": name})
    if session.json:
        show(session, told, lambda _: [])
        return
    click.echo(told["text"], nl=False)
    for note in told["notes"]:
        click.echo(note, err=True)


@command.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Every breach of OpenSLO's rules is a problem.")
@flags
@click.pass_obj
def check(session: Session, files: tuple[str, ...], strict: bool) -> int:
    """Check OpenSLO documents of files, without a control plane."""
    from msgspec import to_builtins

    from andon.cli.commands.validate import explain

    contents = {name: _read(name) for name in files}
    parsed = _check(contents)
    problems = (*parsed.problems, *(parsed.warnings if strict else ()))
    answer = {
        "valid": not problems,
        "documents": len(parsed.openslo),
        "objectives": len(parsed.definitions),
        "problems": to_builtins(problems),
        "warnings": [] if strict else to_builtins(parsed.warnings),
        "notes": to_builtins(parsed.notes),
    }
    if session.json:
        show(session, answer, lambda _: [])
        return InvalidDocument.exit_code if problems else 0
    for problem in problems:
        for line in explain(problem, contents.get(problem.file, b"")):
            say(session, line)
    for warning in () if strict else parsed.warnings:
        say(session, f"{click.style('warning', fg='yellow')}: {warning}")
    for note in parsed.notes:
        say(session, f"{faint('not taken over')}: {note}")
    say(session, f"{answer['documents']} documents, {len(problems)} problems")
    return InvalidDocument.exit_code if problems else 0


def _check(contents: dict[str, bytes]) -> Parsed:
    from msgspec.structs import replace

    from andon.api.findings import placed, told
    from andon.api.objectives_check import check_objective, warn_objectives
    from andon.api.openslo.translate import translate
    from andon.api.parse import Parsed, read_documents
    from andon.api.v1.objectives import ObjectiveSpec

    read = [read_documents(data, file) for file, data in contents.items()]
    openslo = translate(document for one in read for document in one.openslo)
    found = [
        problem
        for one in openslo.definitions
        if isinstance(one.spec, ObjectiveSpec)
        for problem in told(one, check_objective(one.spec), contents)
    ]
    lost = placed(warn_objectives(openslo.definitions), contents)
    return replace(
        Parsed(definitions=openslo.definitions),
        openslo=tuple(document for one in read for document in one.openslo),
        problems=(*(p for one in read for p in one.problems), *openslo.problems, *found),
        warnings=(*(w for one in read for w in one.warnings), *openslo.warnings, *lost),
        notes=openslo.notes,
    )


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise NotFound(
            f"{name} cannot be read: {error.strerror}", hint="andon slo check FILE"
        ) from None


def _moment(text: str, zone: str) -> float:
    from andon.kernel.cron import time_zone
    from andon.kernel.periods import parse_moment

    try:
        return parse_moment(text, time_zone(zone))
    except ValueError as error:
        raise UsageError(f"{text}: {error}", hint="a day such as 2026-10-01") from None


# --- telling --------------------------------------------------------------------------------------


def _tell_board(board: dict[str, Any]) -> list[str]:
    head = ["OBJECTIVE", "WHERE", "TARGET", "STATE", "BUDGET LEFT", "BURN", "EMPTY IN", "LAST DAY"]
    lines = table(head, [_row(one) for one in board["objectives"]], _NONE)
    wrong = [one for one in board["objectives"] if one["state"] != "met"]
    if wrong:
        lines += ["", *(f"{_name(one)}: {one['message']}" for one in wrong[:20])]
    if any(one["default"] for one in board["objectives"]):
        lines += ["", faint("(default): nobody wrote it; every Service has it")]
    return lines


def _row(one: dict[str, Any]) -> list[str]:
    return [
        _name(one) + (faint(" (default)") if one["default"] else ""),
        one["environment"] or "-",
        f"{100 * one['target']:.6g} % / {one['window']}",
        _state(one),
        budget_bar(one["remaining"]),
        _number(one["burn"], "×"),
        _empty(one),
        sparkline(one["spark"]),
    ]


def _name(one: dict[str, Any]) -> str:
    name = one["objective"]
    return name if name.endswith(f"-{one['name']}") else f"{name} {one['name']}"


def _state(one: dict[str, Any]) -> str:
    return click.style(one["state"], fg=_COLORS[one["state"]])


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.3g}{unit}"


def _empty(one: dict[str, Any]) -> str:
    if one["remaining"] is not None and one["remaining"] <= 0:
        return "empty"
    if one["emptySeconds"] is None:
        return "-" if one["burn"] is None else "never"
    return format_duration(one["emptySeconds"])


def budget_bar(left: float | None) -> str:
    """Draw what is left of a budget.

    >>> budget_bar(0.5), budget_bar(-1.0), budget_bar(None)
    ('█████░░░░░ 50%', '░░░░░░░░░░ -100%', '?')
    """
    if left is None:
        return "?"
    full = round(_BUDGET_CELLS * min(1.0, max(0.0, left)))
    return f"{'█' * full}{'░' * (_BUDGET_CELLS - full)} {100 * left:.0f}%"


def sparkline(values: list[float | None]) -> str:
    """Draw shares between nothing and all; a dot where it is unknown.

    >>> sparkline([1.0, 0.5, None, -2.0])
    '█▅·▁'
    """
    return "".join(
        "·" if one is None else _BARS[round((len(_BARS) - 1) * min(1.0, max(0.0, one)))]
        for one in values
    )


def _tell_objective(told: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for one in told["promises"]:
        lines += [*_tell_promise(one), ""]
    return lines[:-1]


def _tell_promise(told: dict[str, Any]) -> list[str]:
    one = told["standing"]
    left = [
        point["remaining"] if point["state"] != "unknown" else None for point in told["history"]
    ]
    lines = [
        f"{strong(one['objective'])} {one['name']} in {one['environment'] or '-'}: {_state(one)}"
        + (faint("  (default: nobody wrote it)") if one["default"] else ""),
        f"  {one['message']}",
        f"  promised   {100 * one['target']:.6g} % over {_window(one)}, by {one['budgeting']}",
        f"  counted    {one['bad']:.6g} bad of {one['total']:.6g}, "
        f"{100 * one['coverage']:.1f} % observed since {moment(max(one['since'], one['begin']))}",
        f"  budget     {budget_bar(one['remaining'])}",
        f"  burn       {_number(one['burn'], ' times what is allowed, in the last hour')}",
        f"  empty in   {_empty(one)}",
    ]
    lines += _tell_alerts(told)
    if left:
        lines.append(f"  history    {sparkline(left[-60:])}")
    changes = [
        f"  {moment(point['at'])}  {point['state']}"
        for before, point in zip([{"state": ""}, *told["history"]], told["history"], strict=False)
        if before["state"] != point["state"]
    ]
    return [*lines, *changes[-8:]]


def _tell_alerts(told: dict[str, Any]) -> list[str]:
    """Tell which alerts a promise has, and which it has not, since they could never fire."""
    if not told["alerts"] and not told["refused"]:
        return []
    named = ", ".join(_tell_alert(one) for one in told["alerts"])
    lines = [f"  alerts     {named or 'none'}"]
    if not any(one["severity"] == "page" for one in told["alerts"]):
        lines.append(f"             {click.style('nobody is woken', fg='yellow')}")
    return [*lines, *(f"  no alert   {one['name']}: {one['reason']}" for one in told["refused"])]


def _tell_alert(one: dict[str, Any]) -> str:
    told = f" to {', '.join(one['receivers'])}" if one["receivers"] else ""
    unknown = f" (no receiver here: {', '.join(one['unknown'])})" if one["unknown"] else ""
    return f"{one['name']} ({one['severity']} above {one['burn']:.3g}×{told}){unknown}"


def _window(one: dict[str, Any]) -> str:
    if one["timeZone"]:
        begin, end = moment(one["begin"]), moment(one["end"])
        return f"{one['window']} of the calendar ({begin} to {end})"
    return f"the last {one['window']}"


def _tell_report(told: dict[str, Any]) -> list[str]:
    head = ["OBJECTIVE", "WHERE", "PROMISED", "KEPT", "STATE", "BUDGET SPENT", "OBSERVED"]
    rows = [
        [
            _name(one) + (faint(" (default)") if one["default"] else ""),
            one["environment"] or "-",
            f"{100 * one['target']:.6g} %",
            "-" if one["achieved"] is None else f"{100 * one['achieved']:.4f} %",
            _state(one),
            "-" if one["spent"] is None else f"{100 * one['spent']:.1f} %",
            f"{100 * one['coverage']:.1f} %"
            + (f" since {moment(one['since'])}" if one["since"] > told["begin"] else ""),
        ]
        for one in told["lines"]
    ]
    lines = [f"{moment(told['begin'])} to {moment(told['end'])}", ""]
    lines += table(head, rows, "nothing was promised then")
    excused = [(one, part) for one in told["lines"] for part in one["excused"]]
    if excused:
        lines += ["", strong("Exclusions")]
    for one, part_ in excused:
        counts = "does not count" if part_["counts"] else f"counts: {part_['because']}"
        when = f"{moment(part_['begin'])} to {moment(part_['end'])}"
        lines.append(f"{_name(one)}: {when} {part_['reason']} ({counts})")
    return lines
