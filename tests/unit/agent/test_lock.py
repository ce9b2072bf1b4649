import pytest

from andon.agent.lock import hold, sign
from andon.kernel.errors import Conflict


def test_second_holder_of_the_lock_is_told_of_the_first(tmp_path):
    (tmp_path / "agent").mkdir()
    first = hold(tmp_path / "agent" / "lock")
    sign(first, 0)
    with pytest.raises(Conflict, match="since 1970-01-01"):
        hold(tmp_path / "agent" / "lock")
    first.close()
    hold(tmp_path / "agent" / "lock").close()
