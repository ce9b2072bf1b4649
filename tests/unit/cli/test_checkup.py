from __future__ import annotations

import socket
from pathlib import Path

import pytest

from andon.api.configuration import Address
from andon.cli.checkup import (
    check_configuration,
    check_containers,
    check_disk,
    check_port,
    check_python,
    check_sqlite,
    check_state,
)
from andon.testing.certificates import make_certificate


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


def test_whether_a_container_engine_answers_is_said_of_the_one_that_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    found = check_containers("")
    assert (found.level, found.check) == ("warn", "containers")
    assert f"{tmp_path}/none.sock" in found.found
    told = tmp_path / "installation.yaml"
    told.write_text(f"{HEAD}  containers: {{socket: {tmp_path}/told.sock}}\n")
    assert "told.sock" in check_containers(str(told)).found


def test_a_state_folder_open_to_others_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert check_state(tmp_path).level == "warn"
    tmp_path.chmod(0o700)
    assert check_state(tmp_path).level == "ok"


def test_a_taken_port_fails_and_a_free_one_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert check_port(Address("127.0.0.1", port)).level == "fail"
    assert check_port(Address("127.0.0.1", port)).level == "ok"


HEAD = "apiVersion: andon/v1\nkind: Installation\nmetadata: {name: a}\nspec:\n"


def test_a_certificate_that_ends_soon_is_a_warning(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    told = tmp_path / "installation.yaml"
    told.write_text(f"{HEAD}  tls: {{certificate: {certificate}, key: {key}}}\n")
    (found,) = check_configuration(str(told), 0, running=True)
    assert (found.level, found.check) == ("warn", "certificate")
    assert "1 more day" in found.found
    key.unlink()
    (found,) = check_configuration(str(told), 0, running=True)
    assert found.level == "fail"


def test_a_configuration_that_is_wrong_fails_with_its_place(tmp_path: Path) -> None:
    told = tmp_path / "installation.yaml"
    told.write_text(f"{HEAD}  listen: 0.0.0.0:80\n")
    (found,) = check_configuration(str(told), None, running=False)
    assert found.level == "fail"
    assert "installation.yaml:5:11: spec.listen" in found.found
