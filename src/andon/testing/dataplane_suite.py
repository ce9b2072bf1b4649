"""What every DataPlane must do; a plugin's tests subclass this and provide the fixtures."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from msgspec import structs

from andon.api.v1.actions import (
    AddBackend,
    Intent,
    ObserveTraffic,
    RemoveBackend,
    SetWeights,
    TrafficObserved,
)
from andon.api.v1.definitions import ClientKey, Health, RouteSpec
from andon.api.v1.records import Version
from andon.kernel.errors import AndonError, Fenced, NotFound
from andon.ports import DataPlane

OLD = Version(digest="sha256:" + "1" * 64, config_hash="aaaaaaaaaaaa")
NEW = Version(digest="sha256:" + "2" * 64, config_hash="bbbbbbbbbbbb")
INTENT = Intent(key="suite/1/step/0", epoch=1)

Serve = Callable[[str], Awaitable[str]]
"""Starts an HTTP server that answers 200 with a text; returns ``host:port``."""


def adding(version: Version, endpoint: str) -> AddBackend:
    """Ask for a version behind the gateway."""
    return AddBackend(
        environment="prod",
        service="shop",
        version=version,
        endpoints=(endpoint,),
        route=RouteSpec(service="shop", client_key=ClientKey(header="x-user")),
        health=Health(),
    )


def weighing(**percent: float) -> SetWeights:
    """Ask for shares of ``old`` and ``new``."""
    keys = {"old": OLD.key, "new": NEW.key}
    shares = {keys[name]: share for name, share in percent.items()}
    return SetWeights(environment="prod", service="shop", weights=shares)


async def ask(address: str, user: str) -> tuple[int, str]:
    """Send a request as a client; return status and body."""
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"GET / HTTP/1.1\r\nHost: shop\r\nX-User: {user}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split(" ")[1]), answer.partition("\r\n\r\n")[2]


async def observe(plane: DataPlane) -> TrafficObserved:
    """Read the counts."""
    return await plane.observe_traffic(ObserveTraffic(environment="prod", service="shop"), INTENT)


class DataPlaneSuite:
    """Fixtures to provide: ``plane`` (open, empty) and ``serve``."""

    async def both(self, plane: DataPlane, serve: Serve) -> str:
        added = await plane.add_backend(adding(OLD, await serve("old")), INTENT)
        await plane.add_backend(adding(NEW, await serve("new")), INTENT)
        return added.address

    async def test_the_only_version_gets_everything_and_the_next_nothing(
        self, plane: DataPlane, serve: Serve
    ) -> None:
        address = await self.both(plane, serve)
        assert {await ask(address, f"u{i}") for i in range(20)} == {(200, "old")}

    async def test_adding_twice_is_adding_once(self, plane: DataPlane, serve: Serve) -> None:
        action = adding(OLD, await serve("old"))
        assert await plane.add_backend(action, INTENT) == await plane.add_backend(action, INTENT)

    async def test_weights_hold_for_the_next_request(self, plane: DataPlane, serve: Serve) -> None:
        address = await self.both(plane, serve)
        for name in ("new", "old", "new"):
            await plane.set_weights(weighing(**{name: 100}), INTENT)
            assert await ask(address, "u") == (200, name)

    async def test_a_growing_share_keeps_its_clients(self, plane: DataPlane, serve: Serve) -> None:
        address = await self.both(plane, serve)
        users, before = [f"u{i}" for i in range(60)], set[str]()
        for percent in (30, 60, 100):
            await plane.set_weights(weighing(old=100 - percent, new=percent), INTENT)
            now = {user for user in users if (await ask(address, user))[1] == "new"}
            assert before <= now
            before = now
        assert before == set(users)

    async def test_unknown_versions_get_no_weight(self, plane: DataPlane, serve: Serve) -> None:
        await plane.add_backend(adding(OLD, await serve("old")), INTENT)
        with pytest.raises(NotFound):
            await plane.set_weights(weighing(new=100), INTENT)

    async def test_counts_are_complete_and_agree(self, plane: DataPlane, serve: Serve) -> None:
        address = await self.both(plane, serve)
        await plane.set_weights(weighing(old=50, new=50), INTENT)
        answers = [(await ask(address, f"u{i}"))[1] for i in range(40)]
        seen = await observe(plane)
        assert seen.consistent
        for version, name in ((OLD, "old"), (NEW, "new")):
            counts = seen.versions[version.key]
            assert counts.requests == counts.table_requests == answers.count(name)
            assert sum(counts.latency.values()) == counts.requests
            assert counts.errors == 0

    async def test_counts_of_nothing_are_an_error(self, plane: DataPlane) -> None:
        with pytest.raises(AndonError):
            await observe(plane)

    async def test_a_removed_version_gives_its_share_to_the_others(
        self, plane: DataPlane, serve: Serve
    ) -> None:
        address = await self.both(plane, serve)
        await plane.set_weights(weighing(new=100), INTENT)
        removing = RemoveBackend(environment="prod", service="shop", version=NEW)
        await plane.remove_backend(removing, INTENT)
        await plane.remove_backend(removing, INTENT)
        assert await ask(address, "u") == (200, "old")

    async def test_last_counts_of_a_removed_version_are_told_for_a_while(
        self, plane: DataPlane, serve: Serve
    ) -> None:
        """Who looks every few seconds would never know of a canary that lived for three."""
        address = await self.both(plane, serve)
        await plane.set_weights(weighing(new=100), INTENT)
        assert await ask(address, "u") == (200, "new")
        removing = RemoveBackend(environment="prod", service="shop", version=NEW)
        await plane.remove_backend(removing, INTENT)
        assert (await observe(plane)).versions[NEW.key].requests == 1
        await plane.add_backend(adding(NEW, await serve("new")), INTENT)
        assert (await observe(plane)).versions[NEW.key].requests == 0


class FencingSuite:
    """What a data plane that several workers reach must do; fixtures as for ``DataPlaneSuite``."""

    async def test_weights_under_an_older_token_are_refused(
        self, plane: DataPlane, serve: Serve
    ) -> None:
        added = await plane.add_backend(adding(OLD, await serve("old")), _under(5))
        await plane.add_backend(adding(NEW, await serve("new")), _under(5))
        await plane.set_weights(weighing(new=100), _under(6))
        for refused in (
            plane.set_weights(weighing(old=100), _under(5)),
            plane.remove_backend(
                RemoveBackend(environment="prod", service="shop", version=NEW), _under(5)
            ),
        ):
            with pytest.raises(Fenced):
                await refused
        assert await ask(added.address, "u") == (200, "new")

    async def test_token_of_one_service_fences_no_other(
        self, plane: DataPlane, serve: Serve
    ) -> None:
        await plane.add_backend(adding(OLD, await serve("old")), _under(6))
        other = structs.replace(adding(OLD, await serve("old")), service="cart")
        await plane.add_backend(other, _under(5))

    async def test_counts_are_read_under_any_token(self, plane: DataPlane, serve: Serve) -> None:
        await plane.add_backend(adding(OLD, await serve("old")), _under(6))
        assert list((await observe(plane)).versions) == [OLD.key]


def _under(token: int) -> Intent:
    return structs.replace(INTENT, epoch=token)
