"""Holds events against the schemas that CDEvents and CloudEvents publish."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def check_event(folder: Path, envelope: dict[str, Any]) -> None:
    """Hold a CloudEvent and the CDEvent in it against their schemas.

    Args:
        folder: Holds ``cdevents-0.5.1`` and ``cloudevents`` as their projects publish them.
        envelope: The CloudEvent.

    Raises:
        fastjsonschema.JsonSchemaValueException: It is not valid; the message says what.
    """
    validator(folder / "cdevents-0.5.1", envelope["type"])(envelope["data"])
    _compiled_file(folder / "cloudevents" / "cloudevents.schema.json")(envelope)


@cache
def validator(folder: Path, type: str) -> Callable[[Any], Any]:
    """Compile the schema of a CDEvents type."""
    if type.startswith("dev.cdeventsx."):
        return _compiled(folder, folder / "custom" / "schema.json")
    _, _, subject, predicate, *_ = type.split(".")
    return _compiled(folder, folder / "schemas" / f"{subject}{predicate}.json")


def _compiled(folder: Path, path: Path) -> Callable[[Any], Any]:
    def load(uri: str) -> Any:
        return _as_draft_7(folder / "schemas" / "links" / f"{uri.rsplit('/', 1)[-1]}.json")

    compiled: Callable[[Any], Any] = fastjsonschema.compile(
        _as_draft_7(path), handlers={"https": load}
    )
    return compiled


@cache
def _compiled_file(path: Path) -> Callable[[Any], Any]:
    compiled: Callable[[Any], Any] = fastjsonschema.compile(json.loads(path.read_text()))
    return compiled


def _as_draft_7(path: Path) -> Any:
    """Read a schema; it uses nothing of the later draft it names."""
    return json.loads(path.read_text()) | {"$schema": DRAFT_7}
