"""``andon`` itself: options that hold for every command, and which file has which command."""

from __future__ import annotations

import importlib
from typing import Any

import click

from andon import __version__
from andon.cli.session import Session

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Daily": {
        "init": ("init", "Write the first andon.yaml for this repository."),
        "run": ("run", "Run the Pipeline here and now, without a server."),
        "up": ("up", "Start the control plane in the foreground."),
        "down": ("down", "Stop the control plane and everything it runs."),
        "ship": ("ship", "Carry a commit as far as its gates allow."),
        "status": ("status", "Show what runs where and what moves."),
        "why": ("why", "Explain what holds a subject and what would open it."),
        "diff": ("diff", "Show what a ship would change in an environment."),
        "validate": ("validate", "Check documents, without a control plane."),
        "pipeline": ("pipeline", "Show what the Pipeline comes to, and what is wrong with it."),
        "doctor": ("doctor", "Check this machine and say how to mend it."),
        "demo": ("demo", "Watch one good and one bad change go to production."),
    },
    "The cord": {
        "hold": ("hold", "Stop the line for a scope."),
        "lift": ("lift", "Lift a Hold."),
        "unlatch": ("unlatch", "Let what failed in an environment be tried again."),
        "rollback": ("rollback", "Go back to the version before."),
        "approve": ("approve", "Consent to a change in an environment."),
    },
    "Looking closer": {
        "runs": ("runs", "List, show and cancel Runs."),
        "logs": ("logs", "Read the log of a Run's step."),
        "tests": ("tests", "See how tests do; split them, select them."),
        "slo": ("slo", "See what was promised of services, and how it stands."),
        "checks": ("checks", "See what is asked of running systems, and ask it now."),
        "schedules": ("schedules", "List what is built again, and when."),
        "judge": ("judge", "See how rollouts are judged: again, beside other rules, and ahead."),
        "simulate": ("simulate", "Play rollouts that never happened before judges."),
        "query": ("query", "Ask metrics in PromQL."),
        "traces": ("traces", "See what requests and Runs went through."),
        "alerts": ("alerts", "See what fires, take it on, keep it quiet for a while."),
        "budget": ("budget", "See what the error budget still allows; set a policy aside."),
        "incidents": ("incidents", "List incidents."),
        "ledger": ("ledger", "List, show and verify what was recorded."),
        "secret": ("secret", "Keep what jobs and services must know and nobody may read."),
        "watch": ("watch", "Ship every new commit of a branch by itself."),
        "subscriptions": ("subscriptions", "Tell others what happens: webhooks, RabbitMQ, NATS."),
        "events": ("events", "Take events of others."),
        "hooks": ("hooks", "Listen to GitHub, GitLab or Gitea, and report back."),
        "queue": ("queue", "See what waits, who works on it, and what was given up."),
    },
    "Around it": {
        "login": ("login", "Work with a control plane elsewhere."),
        "logout": ("login", "Forget a login."),
        "password": ("login", "Give yourself another password."),
        "portal": ("login", "Open the page in a browser, logged in."),
        "import": ("import_", "Turn a CI file of GitHub or GitLab into a Pipeline."),
        "worker": ("worker", "Share the work of an installation, here or on another machine."),
        "workers": ("workers", "See the workers on other machines, and drain one."),
        "admin": ("admin", "Back up, restore, move or pause Andon itself."),
        "schema": ("schema", "Print the JSON Schema of andon.yaml, for editors."),
        "completion": ("completion", "Print the completion script for a shell."),
        "version": ("version", "Print the version."),
    },
}
"""Section, command, its module in ``andon.cli.commands`` and its one-line help."""

_PLACES = {name: place for section in COMMANDS.values() for name, place in section.items()}


class LazyGroup(click.Group):
    """Knows all commands by name and help, and loads one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in _PLACES:
            return None
        module = importlib.import_module(f"andon.cli.commands.{_PLACES[cmd_name][0]}")
        own = getattr(module, cmd_name, None)
        command: click.Command = own if isinstance(own, click.Command) else module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections, from the table alone."""
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or name the nearest one there is."""
        name = args[0]
        if name not in _PLACES and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, _PLACES, n=1)
            meant = f"; did you mean `andon {near[0]}`?" if near else ""
            ctx.fail(f"there is no command {name!r}{meant}")
        return super().resolve_command(ctx, args)


def _set(name: str, value: object) -> Any:
    def keep(ctx: click.Context, param: click.Parameter, given: Any) -> None:
        if given and not ctx.resilient_parsing:
            setattr(ctx.ensure_object(Session), name, given if value is None else value)

    return keep


def flags(command: Any) -> Any:
    """Give a command the options that hold everywhere: ``--state``, ``--server``, ``--json``, ``--no-color``."""
    options: dict[str, Any] = {
        "--state": {
            "metavar": "DIR",
            "callback": _set("given_state", None),
            "help": "State folder.",
        },
        "--server": {
            "metavar": "URL",
            "callback": _set("given_server", None),
            "help": "Control plane elsewhere (or $ANDON_SERVER, with $ANDON_TOKEN).",
        },
        "--json": {"is_flag": True, "callback": _set("json", True), "help": "Answer as JSON."},
        "--no-color": {"is_flag": True, "callback": _set("color", False), "help": "No colours."},
    }
    for name, settings in reversed(options.items()):
        command = click.option(name, expose_value=False, **settings)(command)
    return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@flags
@click.version_option(__version__, message="andon %(version)s")
def andon() -> None:
    """Carry a change to production and back; stop the line when evidence says so."""
