"""Where a secret's value comes from, and what of it is kept."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from andon.cli.commands.secret import _place, _read
from andon.kernel.errors import NotFound, UsageError

PEM = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("hush hush\n", "hush hush"),
        ("hush hush\r\n", "hush hush"),
        ("hush hush", "hush hush"),
        ("hush hush\n\n", "hush hush\n\n"),
        (PEM, PEM),
    ],
)
def test_the_end_of_a_single_line_is_no_part_of_the_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, kept: str
):
    file = tmp_path / "value"
    file.write_bytes(content.encode())
    assert _read(file, None) == kept
    said = capsys.readouterr().err
    assert ("note:" in said) == (kept != content)
    assert "hush" not in said


def test_a_value_is_read_from_a_variable_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VALUE", "hush\n")
    assert _read(None, "VALUE") == "hush\n"
    with pytest.raises(NotFound, match="NO_VALUE"):
        _read(None, "NO_VALUE")


def test_a_value_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch):
    for file in (None, Path("-")):
        given = io.TextIOWrapper(io.BytesIO(b"hush hush\n"))
        monkeypatch.setattr(sys, "stdin", given)
        assert _read(file, None) == "hush hush"


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path):
    file = tmp_path / "value"
    with pytest.raises(NotFound, match="cannot be read"):
        _read(file, None)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="no text"):
        _read(file, None)
    with pytest.raises(UsageError, match="one place"):
        _read(file, "VALUE")


def test_a_secret_holds_in_one_place():
    assert (_place("prod", False), _place("", True)) == ("prod", "pipelines")
    for environment, pipelines in (("", False), ("prod", True)):
        with pytest.raises(UsageError, match="where the secret holds"):
            _place(environment, pipelines)
