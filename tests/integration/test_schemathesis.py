"""Whatever the document allows may be asked, and much that it does not: no 5xx, no other answer than told.

schemathesis makes the requests from schema/openapi.json; a real control plane answers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from api_world import World
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from andon.web.api import OPERATIONS
from andon.web.openapi import document

EXAMPLES = {GenerationMode.POSITIVE: 6, GenerationMode.NEGATIVE: 3}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# What would end the run itself; what is wrong with such a request is still refused properly.
ONLY_WRONG = {
    "admin_pause": "nothing would be done any more",
    "admin_migrate": "it would look for databases",
    "admin_backup": "it would write files at paths of its own choice",
}
NOT_AT_ALL = {
    "events_follow": "it never ends (tests/integration/test_api.py follows it)",
    "logs_tail": "it never ends (tests/unit/web/test_telelogs.py follows it)",
    "tokens_rotate_admin": "it has no parameter to go wrong, and would end the token that asks",
}
RULES = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Send lines as they are."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


SCHEMA = schemathesis.openapi.from_dict(document(OPERATIONS))
BY_NAME = {one.ok().definition.raw["operationId"]: one.ok() for one in SCHEMA.get_all_operations()}


def takes(name: str) -> bool:
    """Say whether an operation takes anything that may be wrong."""
    raw = BY_NAME[name].definition.raw
    return "requestBody" in raw or "parameters" in raw


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("api"))
    try:
        world.up()
        andon = world.andon
        shipped = andon.ship(repository=str(world.repository), until="dev")
        world.until(lambda: andon.changes_show(shipped["change"])["phase"] == "Succeeded")
        andon.hold(scope={"environment": "prod"}, reason="to be seen")
        andon.users_add(name="ann", emails=["ann@example.org"])
        andon.teams_add(name="sre", members=["ann"])
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def session(world: World) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {world.token}"
        yield session


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in ONLY_WRONG | NOT_AT_ALL])
def test_what_the_document_allows_is_answered_as_it_says(
    world: World, session: requests.Session, name: str
) -> None:
    go(world, session, name, GenerationMode.POSITIVE)


@pytest.mark.parametrize(
    "name", [name for name in BY_NAME if name not in NOT_AT_ALL and takes(name)]
)
def test_what_the_document_does_not_allow_is_refused(
    world: World, session: requests.Session, name: str
) -> None:
    go(world, session, name, GenerationMode.NEGATIVE)


def go(world: World, session: requests.Session, name: str, mode: GenerationMode) -> None:
    """Ask one operation again and again."""

    @settings(RULES, max_examples=EXAMPLES[mode])
    @given(case=BY_NAME[name].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        keep_inside(case, world.repository)
        case.call_and_validate(
            base_url=f"{world.url}/api/v1", session=session, checks=CHECKS, timeout=90
        )

    ask()


def keep_inside(case: Any, repository: Path) -> None:
    """No address of a repository leads out of this machine."""
    for sent in (case.body, case.query):
        named = sent.get("repository") if isinstance(sent, dict) else None
        if isinstance(named, str) and named:
            sent["repository"] = str(repository)
