"""What ``andon hooks`` reads before it asks anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.cli.commands.hooks import _secrets
from andon.kernel.errors import NotFound, UsageError


def given(**more: object) -> dict[str, object]:
    nothing = {"token_file": None, "token_stdin": False, "secret_file": None, "secret_stdin": False}
    return {**nothing, **more}


def test_nothing_given_is_nothing():
    assert _secrets(given()) == {"token": "", "secret": ""}


def test_file_is_read_without_its_line_end(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("t0ken\n")
    assert _secrets(given(token_file=path)) == {"token": "t0ken", "secret": ""}


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = tmp_path / "in"
    path.write_text("s3cret\n")
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert _secrets(given(secret_stdin=True)) == {"token": "", "secret": "s3cret"}
    with pytest.raises(UsageError, match="only one of"):
        _secrets(given(secret_stdin=True, token_stdin=True))


def test_odd_files_are_named_not_shown(tmp_path: Path):
    path = tmp_path / "token"
    with pytest.raises(NotFound, match="cannot be read"):
        _secrets(given(token_file=path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="no text"):
        _secrets(given(token_file=path))
    path.write_text(" \n")
    with pytest.raises(UsageError, match="the token is empty"):
        _secrets(given(token_file=path))
