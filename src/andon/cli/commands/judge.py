"""``andon judge``."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.foretelling import about, sight
from andon.cli.output import clock_time, faint, say, show, state, strong, table
from andon.cli.root import flags
from andon.cli.session import Session
from andon.client.wire import part
from andon.kernel.duration import format_duration
from andon.kernel.errors import Drifted

BESIDE = "threshold,argo,flagger,kayenta"


@click.group()
def command() -> None:
    """See how rollouts are judged: again, beside other rules, and ahead."""


@command.command("replay")
@click.argument("run")
@click.option("--judge", "-j", default=BESIDE, show_default=True, help="Rules to show beside.")
@flags
@click.pass_obj
def replay_(session: Session, run: str, judge: str) -> int:
    """Decide a rollout again from its stored counts.

    Ends with 12 unless all that was decided comes out again, byte for byte.
    """
    answer = session.client.get(f"/runs/{part(run)}/replay", {"judge": judge})
    show(session, answer, _tell_replay)
    if not answer["same"] and not session.json:
        say(session, "  not the same: was it decided by another release of Andon?")
    return 0 if answer["same"] else Drifted.exit_code


@command.command("forecast")
@click.argument("service")
@click.option("--environment", "-e", required=True, help="Where.")
@click.option(
    "--requests-per-second", type=float, help="Expected traffic; else that of the last hour."
)
@click.option("--errors", type=float, help="Expected share of failing requests, such as 0.001.")
@flags
@click.pass_obj
def forecast_(
    session: Session,
    service: str,
    environment: str,
    requests_per_second: float | None,
    errors: float | None,
) -> None:
    """Say which rise of errors the next rollout would see, and when."""
    given = {"requestsPerSecond": requests_per_second, "errorShare": errors}
    query = {
        "environment": environment,
        **{name: value for name, value in given.items() if value is not None},
    }
    answer = session.client.get(f"/services/{part(service)}/forecast", query)
    show(session, answer, tell_forecast)


def _tell_replay(answer: dict[str, Any]) -> list[str]:
    same = "the same, byte for byte" if answer["same"] else "NOT the same"
    count = f"{answer['samples']} counts, rules of edition {answer['rules']}"
    lines = [f"{strong(answer['run'])}  decided again from {count}: {same}"]
    for one in answer["decisions"]:
        lines.append(f"  {one['step']} at {clock_time(one['at'])}: {_decided(one)}")
    head = ("  JUDGE", "SAYS", "ROLLED BACK AFTER", "FAILED REQUESTS")
    return [*lines, *table(head, [_beside(one) for one in answer["judges"]], "")]


def _decided(one: dict[str, Any]) -> str:
    if one["same"]:
        return f"{one['verdict']}: {one['reason']}"
    return f"was {one['verdict']}: {one['reason']}; is {one['verdictNow']}: {one['reasonNow']}"


def _beside(one: dict[str, Any]) -> tuple[str, ...]:
    after = one["rollbackAfterSeconds"]
    return (
        f"  {one['judge']}",
        state(one["verdict"]),
        "-" if after is None else format_duration(after),
        str(one["failedRequests"]),
    )


def tell_forecast(answer: dict[str, Any]) -> list[str]:
    """Write for people what the judge will be able to see."""
    rate, share = answer["requestsPerSecond"], answer["errorShare"]
    lines = [
        f"{strong(answer['service'])} in {answer['environment']}: {rate:.3g} requests per second, "
        f"{100 * share:.3g} % of them fail",
        f"  {_good(answer['goodSeconds'])}",
        *(f"  {_sight(one)}" for one in answer["seen"]),
    ]
    if answer["fewestErrors"]:
        lines.append(
            faint(
                f"  {answer['fewestErrors']} errors of the new version alone, while the other has none, "
                f"roll it back at {answer['firstWeight']:g} %"
            )
        )
    return lines + [f"  advice: {one}" for one in answer["advice"]]


def _good(seconds: float | None) -> str:
    if seconds is None:
        return "a good release waits for a person: its traffic does not suffice in time"
    return f"a good release takes about {about(seconds)}"


def _sight(one: dict[str, Any]) -> str:
    at = "" if one["afterSeconds"] is None else f", at {one['weight']:g} %"
    return f"{sight(one)}{at} ({one['failedRequests']} requests fail)"
