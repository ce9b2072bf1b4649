from __future__ import annotations

import pytest

from andon.adapters.process.sandbox import Etc


@pytest.fixture
def source(tmp_path):
    made = tmp_path / "source"
    (made / "ssl").mkdir(parents=True)
    (made / "hosts").write_text("127.0.0.1 localhost\n")
    (made / "shadow").write_text("root:secret\n")
    (tmp_path / "stub").write_text("nameserver 127.0.0.53\n")
    (made / "resolv.conf").symlink_to(tmp_path / "stub")
    return made


@pytest.fixture
def etc(tmp_path, source):
    return Etc(tmp_path / "copies", source)


def seen(etc, tmp_path):
    option, folder, place = etc.binds()[:3]
    assert (option, place) == ("--ro-bind", "/etc")
    return tmp_path / "copies" / folder


def test_jobs_see_copies_of_a_few_files_and_the_places_of_a_few_folders(etc, tmp_path):
    found = seen(etc, tmp_path)
    assert {one.name for one in found.iterdir()} == {"hosts", "resolv.conf", "ssl"}
    assert (found / "resolv.conf").read_text() == "nameserver 127.0.0.53\n"
    assert not (found / "resolv.conf").is_symlink()
    assert found.stat().st_mode & 0o777 == 0o755


def test_folders_are_bound_as_they_are(etc, source):
    assert ["--ro-bind-try", f"{source}/ssl", "/etc/ssl"] in [
        etc.binds()[at : at + 3] for at in range(0, 15, 3)
    ]


def test_the_copies_are_made_once_and_again_when_a_file_has_changed(etc, source, tmp_path):
    before = seen(etc, tmp_path)
    assert seen(etc, tmp_path) == before
    (source / "hosts").write_text("127.0.0.1 localhost here\n")
    after = seen(etc, tmp_path)
    assert (after / "hosts").read_text() == "127.0.0.1 localhost here\n"
    assert (before / "hosts").read_text() == "127.0.0.1 localhost\n", (
        "a job that runs sees no change"
    )


def test_copies_that_are_gone_are_made_again(etc, tmp_path):
    seen(etc, tmp_path)
    etc.clear()
    assert (seen(etc, tmp_path) / "hosts").exists()
