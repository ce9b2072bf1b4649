"""The vocabulary says what the standard's own schemas say."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from andon.api.cdevents import VOCABULARY, modern, problems
from andon.testing.cdevents import validator


@pytest.fixture
def standard(conformance_data: Path) -> Path:
    return conformance_data / "cdevents-0.5.1"


def examples(standard: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((standard / "conformance").glob("*.json")):
        yield json.loads(path.read_text())
    yield json.loads((standard / "custom" / "conformance.json").read_text())


def as_of_04(event: dict[str, Any]) -> dict[str, Any]:
    """Say an event of 0.5 as 0.4 did."""
    older = copy.deepcopy(event)
    context, subject = older["context"], older["subject"]
    context["version"] = "0.4.1"
    del context["specversion"]
    *parts, minor, patch = context["type"].split(".")
    context["type"] = ".".join([*parts, str(int(minor) - 1), patch])
    subject["type"] = parts[2]
    content = subject["content"]
    if "uri" in content and "ticket" not in context["type"]:
        content["url"] = content.pop("uri")
    if "test" in context["type"] and "outcome" in content:
        content["outcome"] = {"success": "pass", "failure": "fail"}[content["outcome"]]
    return older


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of an event."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in parts:
        yield (*path, name)
        if isinstance(part, dict | list):
            yield from places(part, (*path, name))


def without(event: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(event)
    where: Any = changed
    for name in path[:-1]:
        where = where[name]
    del where[path[-1]]
    return changed


def instead(event: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(event)
    where: Any = changed
    for name in path[:-1]:
        where = where[name]
    where[path[-1]] = value
    return changed


def test_every_type_of_the_standard_is_known(standard: Path):
    types = {one["context"]["type"] for one in examples(standard)}
    known = {f"dev.cdevents.{name}.{version}" for name, (version, _) in VOCABULARY.items()}
    assert known == {type for type in types if "cdeventsx" not in type}


def test_every_example_is_understood_in_both_versions(standard: Path):
    for event in examples(standard):
        assert problems(modern(event)) == []
        if "cdeventsx" not in event["context"]["type"]:
            assert problems(modern(as_of_04(event))) == [], event["context"]["type"]


def test_events_are_judged_as_the_schemas_judge_them(standard: Path):
    judged = 0
    for event in examples(standard):
        valid = validator(standard, event["context"]["type"])
        for path in places(event):
            if path == ("context", "type"):
                continue
            for changed in (
                without(event, path),
                instead(event, path, 7),
                instead(event, path, ""),
                instead(event, path, {"unknown": "x"}),
            ):
                try:
                    valid(copy.deepcopy(changed))  # it fills defaults in
                    expected = True
                except fastjsonschema.JsonSchemaValueException:
                    expected = False
                found = problems(changed)
                judged += 1
                assert bool(found) != expected or _stricter(path, found), (path, found)
    assert judged > 1000


def _stricter(path: tuple[Any, ...], found: list[Any]) -> bool:
    """Say whether we refuse on purpose what the schema leaves open: versions, and empty addresses."""
    return bool(found) and path[-1] in {"specversion", "uri", "viewUrl", "source"}


def test_all_problems_are_told_at_once():
    event = {
        "context": {
            "specversion": "0.7.0",
            "id": "",
            "source": "a b",
            "type": "dev.cdevents.testsuiterun.finished.0.3.0",
            "timestamp": "yesterday",
            "links": [{"linkType": "X"}, {"linkType": "PATH", "from": {}}],
        },
        "subject": {"id": "s", "content": {"outcome": "fine", "environment": "dev", "more": 1}},
        "other": 1,
    }
    assert sorted(one.where for one in problems(event)) == [
        "context.id",
        "context.links[0].linkType",
        "context.links[1].from.contextId",
        "context.source",
        "context.specversion",
        "context.timestamp",
        "other",
        "subject.content.environment",
        "subject.content.more",
        "subject.content.outcome",
    ]


@pytest.mark.parametrize("event", [None, [], 3, "x", {}, {"context": []}, {"context": {}}])
def test_what_is_no_event_is_told_so(event: Any):
    assert problems(event)


@pytest.mark.parametrize(
    "type",
    [
        "x",
        "dev.cdevents.build.queued.0.9.0",
        "dev.cdevents.build.eaten.0.3.0",
        "dev.cdeventsx.a.b.1",
    ],
)
def test_unknown_types_are_told(type: str):
    context = {
        "specversion": "0.5.1",
        "id": "1",
        "source": "/a",
        "type": type,
        "timestamp": "2026-01-01T00:00:00Z",
    }
    (problem,) = problems({"context": context, "subject": {"id": "b", "content": {}}})
    assert problem.where == "context.type"
