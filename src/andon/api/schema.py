"""The JSON Schema that editors use while people write documents."""

from __future__ import annotations

from typing import Any

import msgspec

from andon.api.v1.definitions import API_VERSION, DEFINITIONS, Metadata
from andon.api.v1.installation import INSTALLATION


def json_schema() -> dict[str, Any]:
    """Return the schema of one document of any kind.

    The kind selects the schema of ``spec`` (``if``/``then`` instead of ``oneOf``), so that an editor
    names the one wrong field instead of saying that no alternative fits. Draft 7, which every YAML
    editor understands.
    """
    known: dict[str, type] = {**DEFINITIONS, **INSTALLATION}
    kinds = list(known)
    types = [Metadata, *known.values()]
    _, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    specs = {kind: known[kind].__name__ for kind in kinds}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Andon document",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "Version of the language."},
            "kind": {"enum": kinds, "description": "What the document defines."},
            "metadata": {"$ref": "#/$defs/Metadata"},
            "spec": {"type": "object", "description": "What you want."},
        },
        "allOf": [_when(kind, name) for kind, name in specs.items()],
        "$defs": {name: _readable(schema) for name, schema in sorted(components.items())},
    }


def _when(kind: str, spec: str) -> dict[str, Any]:
    return {
        "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
        "then": {"properties": {"spec": {"$ref": f"#/$defs/{spec}"}}},
    }


def _readable(schema: Any) -> Any:
    """Keep what stands beside a reference: draft 7 ignores the neighbours of ``$ref``."""
    if isinstance(schema, list):
        return [_readable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: _readable(value) for key, value in schema.items()}
    if "$ref" in read and len(read) > 1 and isinstance(read["$ref"], str):
        return {"allOf": [{"$ref": read.pop("$ref")}], **read}
    return read
