"""``andon run``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from andon.cli.root import flags
from andon.cli.session import Session, project_root

if TYPE_CHECKING:
    from andon.app.local.running import Ended, Wish
    from andon.app.local.watching import Onlooker

INTERRUPTED = 130


@click.command()
@click.argument("names", nargs=-1, metavar="[PIPELINE|JOB]...")
@click.option("--jobs", "-j", default=0, metavar="N", help="So many at a time; as many as cores.")
@click.option(
    "--sandbox/--no-sandbox",
    default=None,
    help="In bubblewrap, as on a server; unset: where it works here.",
)
@click.option("--fresh", is_flag=True, help="Run every job, whatever passed before.")
@click.option("--resume", is_flag=True, help="Take up the Run that was interrupted, as it was.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME", help="Take it from $NAME.")
@click.option(
    "--env-file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Secrets as lines of NAME=value.",
)
@flags
@click.pass_obj
def command(
    session: Session,
    names: tuple[str, ...],
    jobs: int,
    sandbox: bool | None,
    fresh: bool,
    resume: bool,
    secrets: tuple[str, ...],
    files: tuple[Path, ...],
) -> int:
    """Run the Pipeline here and now, without a server; what is not committed counts, too.

    Ends with 8 when a job failed, 130 when it was interrupted.
    """
    from andon.app.local.place import local_state
    from andon.app.local.running import Wish
    from andon.app.local.sandboxing import is_sandboxed
    from andon.app.local.secrets import gather

    folder = project_root(Path.cwd())
    state = local_state(session.given_state, os.environ, folder)
    wish = Wish(
        folder=folder,
        state=state,
        names=names,
        jobs_at_once=jobs if jobs > 0 else os.cpu_count() or 1,
        sandboxed=is_sandboxed(sandbox, state),
        fresh=fresh,
        resume=resume,
        secrets=gather(secrets, files, os.environ),
    )
    return _code(_run(wish, session))


def _run(wish: Wish, session: Session) -> Ended:
    import asyncio

    from andon.app.local.running import run_here
    from andon.cli.tree import REDRAW_SECONDS, JsonLines, Lines, Story, Tree

    story = Story(wish.state / "logs")

    async def live(tree: Tree) -> Ended:
        running = asyncio.create_task(run_here(wish, tree))
        while not running.done():
            await asyncio.wait([running], timeout=REDRAW_SECONDS)
            if not running.done():
                tree.tick()
        return running.result()

    onlooker: Onlooker = JsonLines(story)
    if not session.json:
        onlooker = Lines(story, colors=session.colorful, write=click.echo)
    try:
        if session.live:
            return asyncio.run(live(Tree(story, colors=session.colorful)))
        return asyncio.run(run_here(wish, onlooker))
    except asyncio.CancelledError:  # A second Ctrl-C: all ends at once.
        raise KeyboardInterrupt from None


def _code(ended: Ended) -> int:
    from andon.kernel.errors import StepFailed

    if ended.status.phase == "Cancelled":
        return INTERRUPTED
    if ended.status.phase != "Succeeded":
        raise StepFailed(
            f"{ended.run}: {ended.status.message.partition(chr(10))[0]}",
            hint="mend it and `andon run` again: what passed with declared inputs need not run again",
        )
    return 0
