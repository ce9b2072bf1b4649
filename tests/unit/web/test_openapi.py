"""The document says what the operations are, by the rules of OpenAPI, and is the one that is published."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from asgi import ask
from openapi_spec_validator import OpenAPIV31SpecValidator

from andon.kernel.errors import ERRORS
from andon.ports.offices import Offices
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.api import OPERATIONS
from andon.web.app import create_app
from andon.web.openapi import document

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = json.loads(json.dumps(document(OPERATIONS)))
METHODS = ("get", "post", "put", "patch", "delete")
SAID = {
    one["operationId"]: one
    for path in DOCUMENT["paths"].values()
    for method, one in path.items()
    if method in METHODS
}
BY_NAME = {one.name: one for one in OPERATIONS}


def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("generate_api", ROOT / "docs/generate_api.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[Path, str] = module.pages()
    return found


def test_it_is_valid_by_the_official_schema_of_3_1() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_what_is_generated_from_the_operations_is_up_to_date() -> None:
    for path, text in generated().items():
        assert (ROOT / path).read_text() == text, "run: python docs/generate_api.py"


async def test_everybody_may_read_it() -> None:
    line: Any = StillLine()
    app = create_app(Offices(line=line, access=FixedDoor()))
    said = await ask(app, "GET", "/api/v1/openapi.json")
    assert said.status == 200
    assert said.json == DOCUMENT


def test_every_operation_is_in_it_once() -> None:
    assert set(SAID) == set(BY_NAME)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_an_operation_says_who_may_and_what_goes_wrong(name: str) -> None:
    one, said = BY_NAME[name], SAID[name]
    assert said["summary"]
    assert set(said["responses"]) >= {str(one.status), "401", "500", "503"}
    if one.rule.verb is None:
        assert {} in said["security"]
        assert "x-andon-verb" not in said
    else:
        assert {} not in said["security"]
        assert said["x-andon-verb"] == {"verb": one.rule.verb, "where": one.rule.place}
        assert "403" in said["responses"]
    names = {parameter["name"] for parameter in said.get("parameters", ())}
    assert ("Idempotency-Key" in names) == one.once
    assert ("If-Match" in names) == one.revised == ("412" in said["responses"])
    writes = {"token": []} in said["security"] and any("csrf" in way for way in said["security"])
    assert writes == (one.method != "GET")  # a page of another site must not even read by POST


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_parameter_and_field_that_is_sent_is_described(name: str) -> None:
    for parameter in SAID[name].get("parameters", ()):
        assert parameter.get("description"), parameter["name"]
    content = SAID[name].get("requestBody", {}).get("content", {}).get("application/json", {})
    reference = content.get("schema", {}).get("$ref", "")
    for field, schema in _component(reference).get("properties", {}).items():
        assert schema.get("description"), field


def _component(reference: str) -> dict[str, Any]:
    name = reference.rpartition("/")[2]
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name] if name else {}
    return found


def test_components_have_the_names_of_things_and_fields_are_camel_case() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert name.isalpha(), name
        assert name[0].isupper(), name
        assert schema.get("description"), name
        for field in schema.get("properties", ()):
            assert field.isalnum(), (name, field)
            assert field[0].islower(), (name, field)


def test_answers_have_a_shape() -> None:
    shapeless = {
        one.name
        for one in OPERATIONS
        if one.media == "application/json" and "dict[str, typing.Any]" in repr(one.answer)
    }
    assert shapeless == {"objects_write", "openapi"}  # one only refuses, one is this document


def test_a_problem_names_every_code() -> None:
    codes = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert codes == [error.code for error in ERRORS]


def test_what_has_a_revision_comes_with_it_as_its_tag() -> None:
    tagged = {name for name, one in SAID.items() if "ETag" in _good(one).get("headers", {})}
    assert tagged >= {"holds_show", "runs_show", "users_show", "hooks_show"}
    assert all("304" in SAID[name]["responses"] for name in tagged)


def _good(said: dict[str, Any]) -> dict[str, Any]:
    return next(one for status, one in said["responses"].items() if status.startswith("2"))
