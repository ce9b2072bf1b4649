"""One call of ``andon``: runs the command and turns whatever goes wrong into a message and a code.

This is the one place of the command line where errors are caught.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from andon.cli.root import andon
from andon.cli.session import Session
from andon.kernel.errors import AndonError, InternalError, Unavailable, UsageError

INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run and return the exit code."""
    session = Session()
    try:
        code = _invoke(arguments, session)
        sys.stdout.flush()
    except BrokenPipeError:
        return _quiet()
    return code


def _invoke(arguments: Sequence[str] | None, session: Session) -> int:
    try:
        result = andon.main(
            None if arguments is None else list(arguments),
            prog_name="andon",
            standalone_mode=False,
            obj=session,
        )
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return UsageError.exit_code
    except click.ClickException as error:
        return _report(_usage_error(error), session)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except AndonError as error:
        return _report(error, session)
    except BrokenPipeError:
        raise
    except SystemExit as error:  # click leaves this way when the reader of a pipe has gone
        return 0 if error.code == 1 else int(error.code or 0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return _report(_no_room(error), session)
        return _report(_crash(error, session), session)
    return result if isinstance(result, int) else 0


def _usage_error(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    hint = f"`{context.command_path} --help` shows how" if context else ""
    return UsageError(error.format_message(), hint=hint)


def _report(error: AndonError, session: Session) -> int:
    if session.json:
        said = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "exitCode": error.exit_code,
        }
        print(json.dumps(said), file=sys.stderr)  # noqa: T201
    else:
        label = click.style("error:", fg="red", bold=True)
        click.echo(f"{label} {error}", err=True, color=None if session.colors_wanted else False)
    return error.exit_code


def _no_room(error: OSError) -> Unavailable:
    where = error.filename or "what is asked for"
    return Unavailable(f"{where} cannot be written: {error.strerror}", hint="df; make room")


def _crash(error: Exception, session: Session) -> InternalError:
    """Keep the details of an error nobody expected in a file, off the screen."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    folder = session.state / "crash" if session.state.is_dir() else Path(tempfile.gettempdir())
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="andon-", suffix=".txt", dir=folder)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError:
        return InternalError(f"andon itself failed: {error!r}")
    return InternalError(f"andon itself failed: {error!r}", hint=f"the details are in {name}")


def _quiet() -> int:
    """Have nobody complain that the reader of a pipe has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
