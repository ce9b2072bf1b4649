"""``andon tests``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from andon.cli.output import faint, moment, show, state, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.duration import format_duration
from andon.kernel.errors import AndonError, UsageError

_NO_LEVEL = "(no level)"


@click.group(invoke_without_command=True)
@click.option("--repository", "-r", default="", help="Only of this one.")
@click.option("--pipeline", "-p", default="", help="Only of this one.")
@click.option("--runs", default=100, show_default=True, help="So many of the newest Runs.")
@click.option("--limit", default=10, show_default=True, help="At most so many rows of a kind.")
@flags
@click.pass_context
def command(context: click.Context, /, **query: Any) -> None:
    """See how tests do; split them, and run first what a change can affect."""
    context.ensure_object(Session)
    context.meta["query"] = query
    if context.invoked_subcommand is None:
        session: Session = context.obj
        show(session, session.client.get("/tests", query), _tell)


@command.command("flakes")
@click.option("--owner", default="", help="Who mends them; the one who asks, if unset.")
@flags
@click.pass_context
def flakes(context: click.Context, owner: str) -> None:
    """Show flaky tests, their budget, and quarantines: those there are and those to paste."""
    session: Session = context.obj
    query = {**context.meta["query"], "owner": owner}
    report = session.client.get("/tests", query)
    kept = ("repository", "pipeline", "runs", "budget", "flakiest", "quarantine", "suggestion")
    show(session, {name: report[name] for name in kept}, _tell_flakes)


@command.command("split")
@click.argument("tests", nargs=-1)
@click.option("--shard", type=int, help="Which share, from 1; $ANDON_SHARD if unset.")
@click.option("--shards", type=int, help="Of how many; $ANDON_SHARDS if unset.")
@click.option(
    "--durations",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON: seconds by test; what Andon hands the job if unset.",
)
@flags
@click.pass_obj
def split(
    session: Session,
    tests: tuple[str, ...],
    shard: int | None,
    shards: int | None,
    durations: Path | None,
) -> None:
    """Print this shard's share of TESTS (or of the lines of standard input), a line each."""
    from andon.cli import suites
    from andon.domains.pipelines import split as splitting

    count = suites.shard_of(shards, os.environ, "ANDON_SHARDS", 1)
    mine = suites.shard_of(shard, os.environ, "ANDON_SHARD", 1)
    if mine > count:
        raise UsageError(f"there is no shard {mine} of {count}", hint="shards count from 1")
    given = _given(tests)
    handed = (
        suites.read_history(durations)
        if durations
        else suites.handed_history(os.environ, Path.cwd())
    )
    known = suites.durations(handed)
    expected = splitting.expected(given, known)
    share = splitting.share(given, known, mine, count)
    seconds = sum(expected[test] for test in share)
    if not session.json:
        said = f"shard {mine} of {count}: {len(share)} of {len(expected)}"
        how = f"about {format_duration(seconds)}" if known else "no durations are recorded yet"
        click.echo(f"{said}, {how}", err=True)
    value = {"shard": mine, "shards": count, "tests": share, "seconds": round(seconds, 3)}
    show(session, value, lambda one: one["tests"])


@command.command("select")
@click.argument("tests", nargs=-1)
@click.option("--since", default="", help="What changed since this commit, and is not committed.")
@click.option("--only-affected", is_flag=True, help="Leave the rest out; see docs/tests.md first.")
@flags
@click.pass_context
def select(context: click.Context, tests: tuple[str, ...], since: str, only_affected: bool) -> None:
    """Print TESTS (or all test files), those first that the change can affect."""
    from andon.cli import suites
    from andon.domains.pipelines import selection
    from andon.domains.pipelines.imports import Imports

    session: Session = context.obj
    _refuse_as_all_tests(only_affected)
    root = suites.root_of(Path.cwd())
    handed = suites.handed_history(os.environ, Path.cwd())
    history = handed if handed is not None else _asked(session, context.meta["query"])
    changed = suites.changed_since(root, since) if since else _changed(handed)
    texts = suites.sources(root)
    given = list(tests) or suites.tests_among(texts)
    imports = Imports(texts)
    found = selection.select(
        given,
        changed,
        imports,
        covered=frozenset(history.get("covered", ())) if history else frozenset(),
        past=suites.past_of(given, history),
    )
    risk = selection.risk(given, suites.faulty_of(history), imports)
    value = {
        "changed": changed,
        "affected": list(found.affected),
        "rest": [] if only_affected else list(found.rest),
        "why": found.why,
        "risk": {name: getattr(risk, name) for name in risk.__struct_fields__},
    }
    if not session.json:
        for line in _explained(found, risk, only_affected):
            click.echo(line, err=True)
    show(session, value, lambda one: [*one["affected"], *one["rest"]])


def _refuse_as_all_tests(only_affected: bool) -> None:
    from andon.domains.pipelines.selection import SELECTED

    check = os.environ.get("ANDON_EVIDENCE", "")
    if only_affected and check not in ("", SELECTED):
        raise UsageError(
            f"a job that leaves tests out cannot be Evidence for {check}",
            hint=f"`evidence: {SELECTED}`, and another job that runs all tests for {check}",
        )


def _asked(session: Session, query: dict[str, Any]) -> dict[str, Any] | None:
    """Ask the control plane; without one, or without Runs, nothing is known of the past."""
    asked = {name: query[name] for name in ("repository", "pipeline", "runs")}
    try:
        found: dict[str, Any] = session.client.get("/tests/history", asked)
    except AndonError:
        return None
    return found


def _changed(handed: dict[str, Any] | None) -> list[str] | None:
    if handed is None:
        raise UsageError("since when is not said", hint="andon tests select --since main")
    return list(handed.get("changed", [])) or None


def _given(tests: tuple[str, ...]) -> list[str]:
    if tests:
        return list(tests)
    if sys.stdin.isatty():
        raise UsageError("no tests are named", hint="andon tests split tests/test_*.py")
    return [line for raw in sys.stdin if (line := raw.rstrip("\n")).strip()]


def _explained(found: Any, risk: Any, only_affected: bool) -> list[str]:
    count, total = len(found.affected), len(found.affected) + len(found.rest)
    lines = [f"{count} of {total} can be affected" + (f": {found.why}" if found.why else "")]
    if not risk.changes:
        measured = "no change is recorded that broke tests: how much this misses is not known"
    else:
        measured = (
            f"of {risk.failures} tests that changes broke it would have chosen {risk.contained}; "
            f"{risk.caught} of {risk.changes} such changes wholly "
            f"({risk.low:.0%} to {risk.high:.0%}, 19 times of 20)"
        )
    if only_affected:
        measured += "; the rest is left out: this is Evidence for tests-selected, not for tests"
    return [*lines, measured]


# --- for people ---------------------------------------------------------------------------------


def _tell(report: dict[str, Any]) -> list[str]:
    lines = [_title(report), "", strong("Pyramid"), *_indented(_pyramid(report["pyramid"]))]
    for title, part in (
        ("Newly failing", _failing(report["newlyFailing"])),
        ("Flakiest", _flaky(report["flakiest"])),
        ("Slowest", _slowest(report["slowest"])),
    ):
        lines += ["", strong(title), *_indented(part)]
    lines += ["", _budget(report["budget"])]
    if report["unread"]:
        lines.append(f"{report['unread']} reports are not kept any more and are not in this")
    return lines


def _tell_flakes(report: dict[str, Any]) -> list[str]:
    lines = [_title(report), _budget(report["budget"])]
    lines += [f"  {faint(run)}" for run in report["budget"]["flakyRuns"]]
    lines += ["", strong("Flaky"), *_indented(_flaky(report["flakiest"]))]
    lines += ["", strong("Quarantine"), *_indented(_quarantine(report["quarantine"]))]
    if report["suggestion"]:
        lines += ["", "To paste into the Pipeline's spec:", *report["suggestion"].splitlines()]
    return lines


def _title(report: dict[str, Any]) -> str:
    return f"{strong(report['pipeline'])} of {report['repository']}, last {report['runs']} Runs"


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _pyramid(floors: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            one["level"] or _NO_LEVEL,
            str(one["suites"]),
            str(one["tests"]),
            str(one["failed"]),
            str(one["skipped"]),
            format_duration(one["seconds"]),
        )
        for one in floors
    ]
    head = ("LEVEL", "SUITES", "TESTS", "FAILED", "SKIPPED", "TIME")
    return table(head, rows, "no job has `reports.junit`")


def _failing(rows: list[dict[str, Any]]) -> list[str]:
    told = [
        (one["id"], one["suite"], one["since"], moment(one["sinceAt"]), one["message"][:80])
        for one in rows
    ]
    return table(("TEST", "SUITE", "SINCE", "WHEN", "WHY"), told, "nothing that passed before")


def _flaky(rows: list[dict[str, Any]]) -> list[str]:
    told = [
        (
            one["id"],
            one["suite"],
            f"{one['flaky']} of {one['commits']} commits"
            if one["proven"]
            else f"suspected: {one['failed']} of {one['commits']} failed, now and then",
            f"{one['low']:.1%} to {one['high']:.1%}" if one["proven"] else "-",
        )
        for one in rows
    ]
    return table(("TEST", "SUITE", "PASSED AND FAILED AT", "TRULY"), told, "no flaky test is known")


def _slowest(rows: list[dict[str, Any]]) -> list[str]:
    told = [
        (one["id"], one["suite"], format_duration(one["seconds"]), state(one["state"]))
        for one in rows
    ]
    return table(("TEST", "SUITE", "TIME", "STATE"), told, "no test has passed yet")


def _budget(budget: dict[str, Any]) -> str:
    word = click.style(budget["state"], fg="red" if budget["state"] == "exhausted" else "green")
    return (
        f"Flake budget {word}: {budget['flaky']} of {budget['runs']} Runs passed only on another "
        f"attempt; {budget['allowed']} of {budget['window']} may"
    )


def _quarantine(rows: list[dict[str, Any]]) -> list[str]:
    told = [(one["test"], one["owner"], one["until"], _stands(one)) for one in rows]
    return table(("TEST", "OWNER", "UNTIL", "STANDS"), told, "nothing is in quarantine")


def _stands(one: dict[str, Any]) -> str:
    if one["daysLeft"] < 0:
        return click.style("over: its failures stop the line again", fg="red")
    if not one["tests"]:
        return "no such test ran: it may go"
    if one["calm"]:
        return "did not fail lately: it may go"
    return f"{one['daysLeft'] + 1} days left"
