"""``andon completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from andon.cli.root import flags
from andon.kernel.errors import InternalError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@flags
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script: eval "$(andon completion bash)"."""
    kind = get_completion_class(shell)
    if kind is None:
        raise InternalError(f"there is no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "andon", "_ANDON_COMPLETE").source())
