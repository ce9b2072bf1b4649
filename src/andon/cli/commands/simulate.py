"""``andon simulate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from andon.cli.output import faint, show, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.kernel.duration import format_duration
from andon.kernel.errors import NotFound

DEFAULT_JUDGES = "andon,threshold,argo,flagger,kayenta"
_ERASE_LINE = "\r\x1b[2K"


@click.command()
@click.option(
    "--scenario", "-f", "files", multiple=True, required=True, metavar="FILE", help="Scenarios; may be given again."
)  # fmt: skip
@click.option("--judge", "-j", default=DEFAULT_JUDGES, show_default=True, help="Whose rules.")
@click.option(
    "--runs", default=200, show_default=True, type=click.IntRange(1, 1_000_000), help="Of each."
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Of chance.")
@click.option("--only", default="", help="Scenarios whose name contains this.")
@click.option("--processes", type=click.IntRange(1, 256), help="At once; else one a processor.")
@flags
@click.pass_obj
def command(
    session: Session,
    files: tuple[str, ...],
    judge: str,
    runs: int,
    seed: int,
    only: str,
    processes: int | None,
) -> None:
    """Play rollouts that never happened, and see what judges make of them.

    Tells how often each judge rolled back (with its exact 95 % interval), when, and how many requests of
    users the new version failed until then. The same seed gives the same answer.
    """
    from msgspec import to_builtins

    from andon.app.simulation import read_scenarios, simulate

    judges = [name.strip() for name in judge.split(",") if name.strip()]
    scenarios = [
        one for file in files for one in read_scenarios(_read(file), file) if only in one.name
    ]
    if not scenarios:
        raise NotFound(f"no scenario's name contains {only!r}", hint="leave --only out")
    outcomes = simulate(
        scenarios, judges, runs=runs, seed=seed, processes=processes, progress=_tell_progress
    )
    _clear_progress()
    answer = {"runs": runs, "seed": seed, "outcomes": to_builtins(outcomes)}
    show(session, answer, _tell)


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise NotFound(
            f"{name} cannot be read: {error.strerror}", hint="docs/simulate.md shows a scenario"
        ) from None


def _tell_progress(scenario: str, done: int, runs: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"{_ERASE_LINE}{scenario}: {done} of {runs} rollouts", nl=False, err=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        click.echo(_ERASE_LINE, nl=False, err=True)


def _tell(answer: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    by_scenario: dict[str, list[dict[str, Any]]] = {}
    for outcome in answer["outcomes"]:
        by_scenario.setdefault(outcome["scenario"], []).append(outcome)
    for scenario, outcomes in by_scenario.items():
        wish = "should be rolled back" if outcomes[0]["harmful"] else "should pass"
        lines += ["", f"{strong(scenario)}  {faint(wish)}"]
        head = ("  JUDGE", "ROLLED BACK", "95 %", "AFTER", "PROMOTED", "FAILED REQUESTS")
        lines += table(head, [_row(outcome) for outcome in outcomes], "")
    return [*lines[1:], "", faint(f"{answer['runs']} rollouts each, seed {answer['seed']}")]


def _row(outcome: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"  {outcome['judge']}",
        _percent(outcome["share"]),
        faint(f"{_percent(outcome['low'])} to {_percent(outcome['high'])}"),
        _after(outcome["untilRollback"]),
        _percent(outcome["promoted"] / outcome["runs"]),
        f"{outcome['failedRequests']:.0f}",
    )


def _after(times: dict[str, float | None]) -> str:
    if times["median"] is None:
        return "-"
    return format_duration(times["median"])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
