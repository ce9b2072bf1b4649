from __future__ import annotations

import socket
from pathlib import Path

import pytest

from andon.cli.checkup import check_disk, check_port, check_python, check_sqlite, check_state


@pytest.mark.parametrize(
    ("free_bytes", "level"), [(100 << 20, "fail"), (1 << 30, "warn"), (3 << 30, "ok")]
)
def test_little_disk_is_said_before_it_is_none(free_bytes: int, level: str) -> None:
    found = check_disk(free_bytes)
    assert found.level == level
    assert bool(found.mend) is (level != "ok")


def test_an_old_python_and_an_old_sqlite_fail_and_say_what_to_install() -> None:
    assert check_python((3, 10)).level == check_sqlite((3, 22, 0)).level == "fail"
    assert check_python((3, 11)).level == check_sqlite((3, 40, 0)).level == "ok"


def test_a_state_folder_open_to_others_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert check_state(tmp_path).level == "warn"
    tmp_path.chmod(0o700)
    assert check_state(tmp_path).level == "ok"


def test_a_taken_port_fails_and_a_free_one_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert check_port(port).level == "fail"
    assert check_port(port).level == "ok"
