"""``andon checks``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from andon.cli.output import faint, moment, show, state, strong, table
from andon.cli.root import flags
from andon.cli.session import Session, project_root
from andon.client.wire import part
from andon.kernel.errors import NotFound, StepFailed, UsageError

if TYPE_CHECKING:
    from andon.adapters.checks import Place
    from andon.api.v1.checks import CheckResult, CheckSpec

_NONE = "no checks; they are documents of kind Check on the policy branch"


@click.group()
def command() -> None:
    """See what is asked of running systems, and ask it now."""


@command.command("list")
@flags
@click.pass_obj
def list_(session: Session) -> None:
    """List checks and how they stand."""
    show(session, session.client.get("/checks"), _tell_all)


@command.command("show")
@click.argument("name")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 1000))
@flags
@click.pass_obj
def show_(session: Session, name: str, most: int) -> None:
    """Show a check and its newest results."""
    show(session, session.client.get(f"/checks/{part(name)}?most={most}"), _tell)


@command.command()
@click.argument("name")
@flags
@click.pass_obj
def ask(session: Session, name: str) -> int:
    """Have the control plane ask a check now; it counts nowhere. Exit code 8: it failed."""
    result = session.client.post(f"/checks/{part(name)}/ask", {})
    show(session, result, lambda one: [_line(one)])
    return 0 if result["passed"] else StepFailed.exit_code


@command.command("try")
@click.argument("names", nargs=-1)
@click.option("--file", "file", default="", help="Documents; without it the project's andon.yaml.")
@click.option("--base", default="", metavar="URL", help="Where paths lead: http://host:port.")
@flags
@click.pass_obj
def try_(session: Session, names: tuple[str, ...], file: str, base: str) -> int:
    """Ask the checks of a file here and now, without a control plane. Exit code 8: one failed."""
    from msgspec import to_builtins

    from andon.adapters.checks import ask

    specs = _read(Path(file) if file else project_root(Path.cwd()) / "andon.yaml")
    unknown = sorted(set(names) - set(specs))
    if unknown:
        known = ", ".join(sorted(specs)) or "none"
        raise NotFound(f"there is no check {unknown[0]}", hint=f"checks of that file: {known}")
    place = _here(base)
    results: list[CheckResult] = []
    for name in names or sorted(specs):
        results.append(ask(name, specs[name], place))
        if not session.json:
            click.echo(_line(to_builtins(results[-1])))
    if session.json:
        show(session, to_builtins(results), lambda _: [])
    elif not results:
        click.echo(_NONE)
    return 0 if all(one.passed for one in results) else StepFailed.exit_code


def _read(file: Path) -> dict[str, CheckSpec]:
    from andon.api.problems import invalid
    from andon.api.project import check_project
    from andon.api.v1.checks import CheckSpec

    try:
        parsed = check_project({str(file): file.read_bytes()})
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}", hint="--file FILE") from error
    if parsed.problems:
        raise invalid(parsed.problems)
    return {
        one.metadata.name: one.spec for one in parsed.definitions if isinstance(one.spec, CheckSpec)
    }


def _here(base: str) -> Place:
    from andon.adapters.checks import Place
    from andon.adapters.outbound import Guard
    from andon.runtime.system import SystemClock

    def address_of(environment: str, service: str) -> str:
        if not base:
            raise UsageError(
                f"where is {service} of {environment}?", hint="--base http://127.0.0.1:8080"
            )
        return base

    # Who types this may go wherever this machine may.
    everywhere = Guard(("0.0.0.0/0", "::/0"), loopback=True)
    return Place(guard=everywhere, address_of=address_of, now=SystemClock().now)


def _line(one: dict[str, Any]) -> str:
    word = state("passed" if one["passed"] else "failed")
    again = f", try {one['tries']}" if one.get("tries", 1) > 1 else ""
    rest = f"  {one['message']}" if one.get("message") else ""
    name = one.get("check") or one["worker"]
    return f"{word}  {name}  {one.get('seconds', 0) * 1000:.0f} ms{again}{rest}"


def _tell_all(checks: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            one["name"],
            _standing(one["standing"]),
            one["kind"],
            f"{one['service']} in {one['environment']}" if one["service"] else "-",
            f"{one['everySeconds']:g} s",
            next((view["message"] for view in one["views"] if view["message"]), ""),
        )
        for one in checks
    ]
    return table(("NAME", "STANDS", "KIND", "OF", "EVERY", "MESSAGE"), rows, _NONE)


def _standing(word: str) -> str:
    colours = {"passing": "green", "failing": "red", "unsteady": "yellow"}
    return click.style(word, fg=colours.get(word))


def _tell(found: dict[str, Any]) -> list[str]:
    check = found["check"]
    lines = [f"{strong(check['name'])} {_standing(check['standing'])}"]
    for view in check["views"]:
        since = f" since {moment(view['since'])}" if view["since"] else ""
        lines.append(
            f"  from {view['worker']}: {view['standing']}{since} {view['message']}".rstrip()
        )
    lines += [f"  {faint(moment(one['at']))}  {_line(one)}" for one in found["results"]]
    return lines
