import pytest

from andon.agent.epochs import Epochs
from andon.agent.lock import hold, sign
from andon.kernel.errors import Conflict, Fenced, Unavailable


def test_newest_epoch_is_remembered_and_older_ones_are_refused(tmp_path):
    epochs = Epochs(tmp_path / "epoch.json")
    for epoch in (1, 3, 3):
        epochs.admit(epoch)
    with pytest.raises(Fenced):
        Epochs(tmp_path / "epoch.json").admit(2)


def test_epoch_that_cannot_be_written_is_not_obeyed(tmp_path):
    epochs = Epochs(tmp_path / "missing" / "epoch.json")
    with pytest.raises(Unavailable, match="cannot write"):
        epochs.admit(5)
    assert epochs.highest == 0


def test_second_holder_of_the_lock_is_told_of_the_first(tmp_path):
    (tmp_path / "agent").mkdir()
    first = hold(tmp_path / "agent" / "lock")
    sign(first, 0)
    with pytest.raises(Conflict, match="since 1970-01-01"):
        hold(tmp_path / "agent" / "lock")
    first.close()
    hold(tmp_path / "agent" / "lock").close()
