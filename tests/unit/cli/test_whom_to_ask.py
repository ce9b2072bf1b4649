"""What is typed goes before what the environment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.cli.session import Session


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANDON_SERVER", "https://andon.example")
    monkeypatch.delenv("ANDON_STATE", raising=False)
    return Session()


def test_the_server_of_the_environment_is_asked(session: Session) -> None:
    assert session.server is not None
    assert session.server.url == "https://andon.example"


def test_a_state_folder_that_is_named_goes_before_it(session: Session, tmp_path: Path) -> None:
    session.given_state = str(tmp_path)
    assert session.server is None
