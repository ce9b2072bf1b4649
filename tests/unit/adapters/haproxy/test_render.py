import subprocess
from pathlib import Path

import pytest

from andon.adapters.haproxy.binary import find_haproxy, probe
from andon.adapters.haproxy.model import Backend, Front, Model
from andon.adapters.haproxy.render import render_config, render_map, seed_of
from andon.adapters.haproxy.slots import Span
from andon.api.v1.definitions import ClientKey, Health, RouteSpec

GOLDEN = Path(__file__).with_name("golden.cfg")
BINARIES = [b for b in (find_haproxy(), probe(Path("/usr/sbin/haproxy"))) if b]


def front(path="/health"):
    key = ClientKey(header="X-User", cookie="uid")
    health = Health(path=path, interval_seconds=0.5, timeout_seconds=2)
    return Front(
        environment="prod",
        service="shop",
        port=18001,
        route=RouteSpec(service="shop", client_key=key, timeout_seconds=5),
        backends={
            "aaa-1": Backend(endpoints=("127.0.0.1:9001", "127.0.0.1:9002"), health=health),
            "bbb-2": Backend(endpoints=("127.0.0.1:9003",), health=health),
        },
        spans=(Span(0, 8999, "aaa-1"), Span(9000, 9999, "bbb-2")),
    )


def model(**kwargs):
    return Model(
        token="f" * 32, log_port=18000, generation=7, fronts={"prod.shop": front(**kwargs)}
    )


def test_configuration_reads_as_agreed():
    assert render_config(model()) == GOLDEN.read_text()


@pytest.mark.parametrize("binary", BINARIES, ids=lambda b: ".".join(map(str, b.version)))
@pytest.mark.parametrize("path", ["/health", "/it's?a=\"%[x]%20&b=$HOME#\\"])
def test_haproxy_accepts_it(binary, path, tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/prod.shop.map").write_text(render_map(front()))
    (tmp_path / "servers.state").write_text("1\n")
    (tmp_path / "haproxy.cfg").write_text(render_config(model(path=path)))
    check = subprocess.run(
        [binary.path, "-c", "-C", tmp_path, "-f", "haproxy.cfg"], capture_output=True, text=True
    )
    assert check.returncode == 0, check.stderr
    assert "WARNING" not in check.stderr


def test_map_names_ranges_of_slots():
    assert render_map(front()) == "0:8999 prod.shop.aaa-1\n9000:9999 prod.shop.bbb-2\n"


def test_a_worker_that_does_not_know_a_version_keeps_its_slots_with_the_one_it_has():
    assert render_map(front(), {"prod.shop.aaa-1"}).count("prod.shop.aaa-1") == 2
    assert render_map(front(), set()) == ""


def test_every_frontend_has_a_hash_of_its_own():
    other = Front(environment="dev", service="shop", port=1, route=RouteSpec(service="shop"))
    assert seed_of(front()) != seed_of(other)
