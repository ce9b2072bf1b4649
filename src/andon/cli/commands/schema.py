"""``andon schema``."""

from __future__ import annotations

import json

import click

from andon.cli.root import flags


@click.command()
@flags
def command() -> None:
    """Print the JSON Schema of andon.yaml, for editors."""
    from andon.api.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
