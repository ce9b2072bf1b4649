import socket

import pytest

from andon.adapters.haproxy.ports import Reservations
from andon.kernel.errors import Unavailable


def test_a_reserved_port_cannot_be_taken_by_another_until_released():
    mine, others = Reservations(), Reservations()
    port = mine.take_any("seed", "service a", set())
    with pytest.raises(Unavailable, match="service b"):
        others.take(port, "service b")
    assert others.take_any("seed", "service b", set()) != port
    mine.release()
    others.take(port, "service b")
    others.release()


def test_a_port_in_use_is_refused_with_the_way_to_see_who_has_it():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match="another program") as raised:
            Reservations().take(port, "service a")
        assert f":{port}" in raised.value.hint
