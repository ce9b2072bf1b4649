"""What people read of metrics."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.commands.query import _tell


def test_a_moment_is_a_table() -> None:
    row = {"metric": {"__name__": "up", "job": "a\x1b[2J"}, "value": [1, "NaN"]}
    lines = [click.unstyle(line) for line in _tell({"resultType": "vector", "result": [row]})]
    assert [line.split() for line in lines] == [["SERIES", "VALUE"], ['up{job="a"}', "NaN"]]


def test_a_time_is_a_line_a_series(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    values = [[at, str(at % 7)] for at in range(60)]
    row = {"metric": {"job": "a"}, "values": values}
    head, line = map(click.unstyle, _tell({"resultType": "matrix", "result": [row]}))
    assert "to" in head
    assert line.startswith('{job="a"}')
    assert line.endswith("min 0  max 6  now 3")
    assert len(line) <= 80


def test_values_that_are_no_numbers_are_gaps() -> None:
    row = {"metric": {}, "values": [[0, "NaN"], [1, "+Inf"]]}
    told = click.unstyle(_tell({"resultType": "matrix", "result": [row]})[1])
    assert "min nan  max nan  now inf" in told


def test_a_number_is_said_as_it_is() -> None:
    assert _tell({"resultType": "scalar", "result": [1, "2.5"]}) == ["2.5"]


def test_nothing_is_said_as_nothing() -> None:
    assert _tell({"resultType": "matrix", "result": []})[0].startswith("no series answers")
    assert _tell({"resultType": "vector", "result": []})[0].startswith("no series answers")
