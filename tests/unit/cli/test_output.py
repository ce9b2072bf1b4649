from __future__ import annotations

import click

from andon.cli.output import state, table


def test_columns_align_whatever_their_colours() -> None:
    lines = table(("A", "B"), [(state("Failed"), "x"), ("ok", "y")], "none")
    assert [click.unstyle(line) for line in lines] == ["A       B", "Failed  x", "ok      y"]


def test_an_empty_table_says_so() -> None:
    assert table(("A",), [], "nothing runs yet") == ["nothing runs yet"]
