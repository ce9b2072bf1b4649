"""Every event of the ledger is a CDEvent in a CloudEvent, by the standards' own schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from andon.api.v1.control import Event, Link
from andon.store.ledger import cloud_event


def schema_of(folder: Path, type_: str) -> dict[str, Any]:
    """Find a type's schema and put the links' schemas in place."""
    links = {p.stem: json.loads(p.read_text()) for p in (folder / "schemas/links").glob("*.json")}
    files = [*(folder / "schemas").glob("*.json"), folder / "custom" / "schema.json"]
    for file in files:
        schema = json.loads(file.read_text())
        rule = schema["properties"]["context"]["properties"]["type"]
        custom = file.name == "schema.json" and type_.startswith("dev.cdeventsx.")
        if custom or type_ in rule.get("enum", ()):
            parts = ("embeddedlinkend", "embeddedlinkpath", "embeddedlinkrelation")
            items = {"anyOf": [{k: v for k, v in links[p].items() if k[0] != "$"} for p in parts]}
            array = {"type": "array", "items": items}
            schema["properties"]["context"]["properties"]["links"] = array
            return {k: v for k, v in schema.items() if k[0] != "$"}
    raise LookupError(type_)


def example(file: Path) -> Event:
    told = json.loads(file.read_text())
    return Event(
        id="e2",
        stream="env/prod",
        type=told["context"]["type"],
        subject=told["subject"]["id"],
        content=told["subject"]["content"],
        chain="c1",
        links=(Link(target="e1"), Link(target="e0", kind="CAUSE")),
        data={"weight": 0.1},
    )


def test_every_type_of_the_standard_validates_in_our_envelope(conformance_data: Path) -> None:
    folder = conformance_data / "cdevents-0.5.1"
    files = sorted((folder / "conformance").glob("*.json"))
    assert len(files) == 45
    for file in files:
        envelope = cloud_event(example(file), "/andon/test", 1_700_000_000.25)
        fastjsonschema.compile(schema_of(folder, envelope["type"]))(envelope["data"])
        context = envelope["data"]["context"]
        assert [envelope[key] for key in ("id", "source", "type")] == [
            context[key] for key in ("id", "source", "type")
        ]
        assert envelope["subject"] == envelope["data"]["subject"]["id"]
        assert envelope["time"] == context["timestamp"] == "2023-11-14T22:13:20.250000Z"


@pytest.mark.parametrize(
    "more", [{}, {"chain": "c"}, {"data": {"a": 1}}, {"links": (Link(target="x"),)}]
)
def test_own_types_validate_with_and_without_the_optional_parts(
    conformance_data: Path, more: dict[str, Any]
) -> None:
    event = Event(
        id="e", stream="org", type="dev.cdeventsx.andon-hold.pulled.0.1.0", subject="h", **more
    )
    schema = schema_of(conformance_data / "cdevents-0.5.1", event.type)
    fastjsonschema.compile(schema)(cloud_event(event, "/andon/test", 0.0)["data"])


def test_links_name_the_path_and_each_relation() -> None:
    event = Event(
        id="e",
        stream="org",
        type="t",
        subject="s",
        links=(Link(target="a"), Link(target="b", kind="CAUSE")),
    )
    links = cloud_event(event, "/andon/test", 0.0)["data"]["context"]["links"]
    assert {"linkType": "PATH", "from": {"contextId": "a"}} in links
    assert [link["target"]["contextId"] for link in links if link["linkType"] == "RELATION"] == [
        "a",
        "b",
    ]
