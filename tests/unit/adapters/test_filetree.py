from pathlib import Path

import pytest

from andon.adapters import filetree
from andon.adapters.filetree import locked, locked_if_free, making, settle
from andon.kernel.errors import Unavailable


def test_made_folder_takes_its_place_whole(tmp_path: Path) -> None:
    with making(tmp_path / "place") as made:
        (made / "file").touch()
        assert not (tmp_path / "place").exists()
        settle(made, tmp_path / "place")
    assert [path.name for path in tmp_path.rglob("*")] == ["place", "file"]


def test_failed_making_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with making(tmp_path / "place") as made:
            (made / "file").touch()
            raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_place_taken_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    with making(tmp_path / "place") as late, making(tmp_path / "place") as quicker:
        for made in (late, quicker):
            (made / made.name).touch()
        settle(quicker, tmp_path / "place")
        settle(late, tmp_path / "place")
    assert [path.name for path in (tmp_path / "place").iterdir()] == [quicker.name]
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_abandoned_folder_is_removed_and_a_living_makers_is_not(tmp_path: Path) -> None:
    (tmp_path / ".place.abandoned").mkdir()
    (tmp_path / ".other.abandoned").mkdir()
    with making(tmp_path / "place") as living, making(tmp_path / "place"):
        assert living.exists()
        assert not (tmp_path / ".place.abandoned").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".other.abandoned"]


def test_lock_that_is_held_for_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filetree, "_PATIENCE_SECONDS", 0)
    with locked(tmp_path / "lock"):
        with locked_if_free(tmp_path / "lock", 0) as lock:
            assert lock is None
        with (
            pytest.raises(Unavailable, match="Another process has held"),
            locked(tmp_path / "lock"),
        ):
            pass
    with locked(tmp_path / "lock"), locked_if_free(tmp_path / "other", 0) as lock:
        assert lock is not None
