"""Attacks are seen in lines, told as alerts and Evidence, and over when they stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from andon.api.v1.control import Selector
from andon.api.v1.requests import GatewayRequest
from andon.app.access.recording import note
from andon.app.parts import controllers
from andon.app.sigma_files import SigmaFiles, keep_sigma_files
from andon.app.telemetry.security import REREAD_SECONDS, Security, Together
from andon.kernel.errors import Unavailable
from andon.ports.store import Store
from andon.ports.telemetry import LogLine
from andon.runtime.system import SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing.clock import FakeClock

RULE = """
title: Shell in a request
status: test
level: critical
logsource: {category: webserver}
detection:
  s: {c-uri|contains: '/bin/sh'}
  condition: s
"""
PROD = {"source": "service", "service": "shop", "environment": "prod"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path}/andon.db", source="/andon/test")
    yield store
    store.close()


class World:
    """Security over a real store."""

    def __init__(self, store: Store, folder: Path | None) -> None:
        self.clock = FakeClock()
        turns = Turns(controllers(), SystemRandomness())
        self.store = store
        self.security = Security(store, turns, self.clock, folder)

    def say(self, text: str, times: int = 1, labels: dict[str, str] = PROD) -> None:
        line = LogLine(at_ns=1, text=text, labels=labels)
        self.security([line] * times)

    async def look(self, firing: Any = ()) -> list[Any]:
        return await self.security.look(firing, self.clock.now())

    async def evidence(self) -> dict[str, str]:
        found = await self.store.read(
            lambda tx: tx.list(Selector(kind="Evidence", labels={"check": "security"}))
        )
        return {one.name: one.spec.verdict for one in found}


def request(uri: str, status: int = 404) -> str:
    return f'9.9.9.9 - - [28/Feb/2026:17:41:44 +0100] "GET {uri} HTTP/1.1" {status} 3'


async def test_a_rule_that_matches_is_an_alert_and_evidence(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "sh.yml").write_text(RULE)
    world = World(store, folder)
    assert await world.look() == []
    world.say(request("/?q=/bin/sh"), times=3)
    told = {one.labels["alertname"]: one for one in await world.look()}
    assert told["sh"].severity == "page"
    assert told["sh"].labels == {"alertname": "sh", "service": "shop", "environment": "prod"}
    assert told["sh"].details.startswith("3 times; such as: 9.9.9.9")
    assert await world.evidence() == {"security-shop-prod": "Fail"}


async def test_what_stops_is_over(store: Store) -> None:
    world = World(store, None)
    await world.look()
    world.say(request("/.env", 200))
    (told,) = await world.look()
    assert told.severity == "ticket"
    spec = type("Spec", (), {"source": "security", "fingerprint": told.fingerprint,
                             "labels": told.labels, "severity": "ticket", "summary": "s"})  # fmt: skip
    firing = [type("Alert", (), {"spec": spec})]
    world.clock.advance(16 * 60)
    (over,) = await world.look(firing)
    assert over.resolved
    assert over.fingerprint == told.fingerprint
    assert await world.evidence() == {"security-shop-prod": "Pass"}


async def test_failed_logins_at_andon_itself_are_counted(store: Store) -> None:
    world = World(store, None)
    await world.look()
    for times in (1, 30):
        await store.transact(
            lambda tx, times=times: note(tx, 1, "login", "failed", "unknown", times=times)
        )
    (told,) = await world.look()
    assert told.labels == {"alertname": "andon-login-failures", "service": "andon"}
    assert "31 in 5 minutes" in told.details


async def test_refused_requests_of_a_service_are_counted(store: Store) -> None:
    world = World(store, None)
    world.say(request("/login", 401), times=12)
    assert [one.rule for one in world.security.signals()] == ["andon-login-failures"]


async def test_requests_that_the_gateway_saw_refused_are_counted(store: Store) -> None:
    world = World(store, None)
    seen = GatewayRequest(
        number=1, environment="prod", service="shop", version="1a", status=403, failed=False,
        trace="", span="", made=True, start_ms=1, duration_ms=1,
    )  # fmt: skip
    world.security.hear_requests([replace(seen, status=404)] * 50)
    assert world.security.signals() == []
    world.security.hear_requests([seen] * 12)
    (one,) = world.security.signals()
    assert (one.rule, one.service) == ("andon-refused-requests", "shop")


async def test_odd_endpoints_are_seen_at_the_gateway_though_the_service_logs_nothing(
    store: Store,
) -> None:
    world = World(store, None)
    seen = GatewayRequest(
        number=1, environment="prod", service="shop", version="1a", status=404, failed=False,
        trace="", span="", made=True, start_ms=1, duration_ms=1, path="/.env",
    )  # fmt: skip
    world.security.hear_requests([seen, replace(seen, path="/orders"), replace(seen, path="")])
    (one,) = world.security.signals()
    assert (one.rule, one.service, one.count) == ("andon-suspicious-endpoint", "shop", 1)
    assert one.example == "status 404: /.env"
    world.security.hear_requests([replace(seen, status=200)])
    assert {one.rule for one in world.security.signals()} == {
        "andon-suspicious-endpoint", "andon-suspicious-endpoint-answered",
    }  # fmt: skip


async def test_rules_of_a_policy_branch_look_at_lines_of_its_services_and_errors_are_told(
    store: Store,
) -> None:
    files = {"security/sh.yml": RULE, "security/odd.yml": "title: T\ndetection: {}\n"}
    told = SigmaFiles(revision="a", services=("shop",), files=files)
    await store.transact(lambda tx: keep_sigma_files(tx, "/srv/shop", told))
    world = World(store, None)
    (lost,) = await world.look()
    assert lost.labels == {"alertname": "andon-sigma-rules-left-out", "repository": "/srv/shop"}
    assert (lost.severity, "security/odd.yml: " in lost.details) == ("ticket", True)
    world.say(request("/?q=/bin/sh"), labels=PROD | {"service": "bank"})
    world.say(request("/?q=/bin/sh"))
    found = [one.service for one in world.security.signals() if one.rule == "sh"]
    assert found == ["shop"]
    mended = replace(told, files={"security/sh.yml": RULE})
    await store.transact(lambda tx: keep_sigma_files(tx, "/srv/shop", mended))
    world.clock.advance(REREAD_SECONDS)
    names = {one.labels["alertname"] for one in await world.look()}
    assert "sh" in names
    assert "andon-sigma-rules-left-out" not in names
    assert world.security.problems == ()


async def test_what_jobs_print_is_theirs(store: Store) -> None:
    world = World(store, None)
    world.say(request("/.env", 200), labels={"source": "job", "run": "r"})
    assert world.security.signals() == []


async def test_a_folder_that_cannot_be_read_stops_nothing(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(store, tmp_path / "none")
    world.say(request("/.env", 200))
    assert len(await world.look()) == 1
    assert "Sigma rules" in caplog.text


async def test_who_cannot_look_keeps_others_from_nothing(store: Store) -> None:
    class Blind:
        async def look(self, *_: Any) -> list[Any]:
            raise Unavailable("nothing is seen")

    world = World(store, None)
    world.say(request("/.env", 200))
    assert len(await Together(Blind(), world.security).look([], world.clock.now())) == 1
