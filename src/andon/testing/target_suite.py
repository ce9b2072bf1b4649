"""What every Target must do; run it against one by subclassing ``TargetSuite``."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import asyncio
from abc import abstractmethod
from pathlib import Path

import pytest
from msgspec import structs

from andon.api.v1.actions import DeployReplicas, Intent, ObserveReplicas, RetireReplicas
from andon.api.v1.definitions import Health, Resources
from andon.api.v1.records import Version
from andon.kernel.errors import Fenced, StepFailed
from andon.ports import Target

SERVER = """
import http.server, os, sys
from pathlib import Path

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(3)
        body = os.environ.get(self.path[1:], Path.cwd().name).encode()
        self.send_response(503 if self.path == "/sick" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass

http.server.HTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
"""A service: answers any path with the environment variable of that name; ``/crash`` ends it."""

QUICK = Health(interval_seconds=0.05, timeout_seconds=1, ready_within_seconds=20)


async def get(endpoint: str, path: str) -> str | None:
    """Return the body that an endpoint answers a GET with; None if nobody answers."""
    host, _, port = endpoint.partition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    except OSError:
        return None
    return answer.decode().partition("\r\n\r\n")[2]


def deployment(digest: str, **changes: object) -> DeployReplicas:
    """Describe a deployment of ``SERVER``, packed as ``server.py`` under a digest."""
    action = DeployReplicas(
        environment="prod",
        service="shop",
        version=Version(digest=digest, config_hash="c" * 12),
        command=("python3", "server.py"),
        config={"THEME": "dark"},
        replicas=1,
        health=QUICK,
        resources=Resources(),
    )
    return structs.replace(action, **changes)


class TargetSuite:
    """The contract. A subclass provides the fixture ``target`` and ``provide``."""

    @abstractmethod
    def provide(self, folder: Path, digest: str, files: dict[str, str]) -> None:
        """Make an artifact known to the target under test.

        Args:
            folder: The test's temporary folder.
            digest: The artifact's name.
            files: Its content.
        """

    @pytest.fixture
    def action(self, tmp_path: Path) -> DeployReplicas:
        """A deployment that works."""
        digest = "sha256:" + "a" * 64
        self.provide(tmp_path, digest, {"server.py": SERVER})
        return deployment(digest)

    async def test_ready_replicas_answer_at_their_endpoints(
        self, target: Target, action: DeployReplicas
    ) -> None:
        two = structs.replace(action, replicas=2)
        ready = await target.deploy_replicas(two, Intent(key="r/1/deploy/0", epoch=1))
        assert len(set(ready.endpoints)) == 2
        for endpoint in ready.endpoints:
            assert await get(endpoint, "/THEME") == "dark"
            assert await get(endpoint, "/ANDON_SERVICE") == "shop"
            assert await get(endpoint, "/ANDON_VERSION") == action.version.key

    async def test_repeating_the_key_changes_nothing(
        self, target: Target, action: DeployReplicas
    ) -> None:
        intent = Intent(key="r/1/deploy/0", epoch=1)
        first = await target.deploy_replicas(action, intent)
        assert await target.deploy_replicas(action, intent) == first
        seen = await target.observe_replicas(_look(action), intent)
        assert (seen.wanted, seen.ready, seen.restarts) == (1, 1, 0)

    async def test_a_version_that_ends_at_once_fails_by_the_changes_fault_and_is_gone(
        self, target: Target, action: DeployReplicas
    ) -> None:
        broken = structs.replace(action, command=("sh", "-c", "echo no database; exit 3"))
        with pytest.raises(StepFailed, match=r"exited with code 3\nno database"):
            await target.deploy_replicas(broken, Intent(key="r/1/deploy/0", epoch=1))
        seen = await target.observe_replicas(_look(action), Intent(key="o", epoch=1))
        assert seen.wanted == 0

    async def test_a_version_that_is_never_healthy_fails_with_its_last_answer(
        self, target: Target, action: DeployReplicas
    ) -> None:
        health = structs.replace(QUICK, path="/sick", ready_within_seconds=4)
        sick = structs.replace(action, health=health)
        with pytest.raises(StepFailed, match="not ready within 4 s; GET /sick: HTTP 503"):
            await target.deploy_replicas(sick, Intent(key="r/1/deploy/0", epoch=1))

    async def test_a_missing_program_is_named(self, target: Target, action: DeployReplicas) -> None:
        missing = structs.replace(action, command=("no-such-program",))
        with pytest.raises(StepFailed, match="command not found: no-such-program"):
            await target.deploy_replicas(missing, Intent(key="r/1/deploy/0", epoch=1))

    async def test_retired_replicas_no_longer_answer(
        self, target: Target, action: DeployReplicas
    ) -> None:
        ready = await target.deploy_replicas(action, Intent(key="r/1/deploy/0", epoch=1))
        retire = RetireReplicas(
            environment=action.environment,
            service=action.service,
            version=action.version,
            drain_seconds=1,
        )
        for _ in range(2):
            await target.retire_replicas(retire, Intent(key="r/1/retire/0", epoch=1))
        assert await get(ready.endpoints[0], "/THEME") is None

    async def test_what_was_never_deployed_is_seen_as_nothing(
        self, target: Target, action: DeployReplicas
    ) -> None:
        seen = await target.observe_replicas(_look(action), Intent(key="o", epoch=1))
        assert (seen.wanted, seen.ready) == (0, 0)

    async def test_older_token_is_fenced_from_its_service_only(
        self, target: Target, action: DeployReplicas
    ) -> None:
        ready = await target.deploy_replicas(action, Intent(key="r/1/deploy/0", epoch=6))
        retire = RetireReplicas(environment="prod", service="shop", version=action.version)
        more = structs.replace(action, replicas=2)
        for refused in (
            target.retire_replicas(retire, Intent(key="s/1/retire/0", epoch=5)),
            target.deploy_replicas(more, Intent(key="s/1/deploy/0", epoch=5)),
        ):
            with pytest.raises(Fenced):
                await refused
        seen = await target.observe_replicas(_look(action), Intent(key="o", epoch=5))
        assert (seen.wanted, await get(ready.endpoints[0], "/THEME")) == (1, "dark")
        other = structs.replace(action, service="cart")
        await target.deploy_replicas(other, Intent(key="s/1/deploy/1", epoch=5))


def _look(action: DeployReplicas) -> ObserveReplicas:
    return ObserveReplicas(
        environment=action.environment, service=action.service, version=action.version
    )
