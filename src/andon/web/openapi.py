"""The API as a document: OpenAPI 3.1, made of the table of operations and of nothing else.

Source: OpenAPI Specification 3.1.1; RFC 9457 (problem details); RFC 8288 (links).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, get_type_hints

import msgspec

from andon import __version__
from andon.api.v1.answers import Problem
from andon.kernel.errors import (
    ERRORS,
    AndonError,
    Conflict,
    Denied,
    InternalError,
    NotFound,
    NotLoggedIn,
    Stale,
    TimedOut,
    Unavailable,
    UsageError,
)
from andon.web.doorkeeper import COOKIE, CSRF_HEADER
from andon.web.operations import Operation

Json = dict[str, Any]
NDJSON = "application/x-ndjson"
JSON = "application/json"
OCTETS = "application/octet-stream"
PROTOBUF = "application/x-protobuf"
FORM = "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
_REF = "#/components/schemas/{name}"
_TEMPLATE = re.compile(r"{(\w+)(?::\w+)?}")
_PATHS = {
    "name": "Its name.",
    "code": "What the command line shows.",
    "environment": "Name of the environment.",
    "kind": "Kind of object.",
    "id": "Id of the event.",
    "digest": "Of the content, `sha256:` and 64 hexadecimal digits.",
}
_ABOUT = (
    "Whatever Andon does and knows. Rows belong to environments; what the caller may not view is left "
    "out. Errors are problem documents whose `code` tells what to do. Lists that are pages have a `Link` "
    "to the next one."
)


def document(operations: Sequence[Operation]) -> Json:
    """Describe operations.

    Returns:
        An OpenAPI 3.1 document.
    """
    schemas, components = _schemas(operations)
    paths: Json = {}
    for one in operations:
        path = paths.setdefault(_TEMPLATE.sub(r"{\1}", one.path), {})
        path[one.method.lower()] = _operation(one, schemas, components)
    queries = {kind.__name__ for one in operations for kind in (one.query, one.form) if kind}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Andon",
            "version": __version__,
            "summary": "Carries a change to production and back.",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api/v1"}],
        "tags": _tags(operations),
        "paths": paths,
        "components": {
            "schemas": {
                name: _told(schema)
                for name, schema in sorted(components.items())
                if name not in queries
            },
            "responses": {_response_name(status): _problem(status) for status in _statuses()},
            "headers": _HEADERS,
            "securitySchemes": _SCHEMES,
        },
    }


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Any, Json], Json]:
    """Return the schema of every type that is sent or answered, and the components they refer to."""
    types: list[Any] = [Problem]
    for one in operations:
        types += [kind for kind in (one.body, one.query, one.form, one.answer) if kind is not None]
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    components["Problem"]["properties"]["code"]["enum"] = [error.code for error in ERRORS]
    return {repr(kind): schema for kind, schema in zip(types, found, strict=True)}, components


def _told(schema: Any) -> Any:
    """Tell a type in one paragraph of Markdown: the rest of a docstring is for who reads the code."""
    if isinstance(schema, dict) and isinstance(schema.get("description"), str):
        summary = schema["description"].partition("\n\nArgs:")[0]
        return {**schema, "description": _markdown(summary)}
    return schema


def _markdown(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _tags(operations: Iterable[Operation]) -> list[Json]:
    modules = {one.handler.__module__: None for one in operations}
    return [
        {
            "name": name.rpartition(".")[2],
            "description": _markdown((sys.modules[name].__doc__ or "").partition("\n\n")[0]),
        }
        for name in modules
    ]


# --- one operation ------------------------------------------------------------------------------


def _operation(one: Operation, schemas: dict[Any, Json], components: Json) -> Json:
    summary, _, more = (inspect.getdoc(one.handler) or "").partition("\n")
    said: Json = {
        "operationId": one.name,
        "tags": [one.handler.__module__.rpartition(".")[2]],
        "summary": _markdown(summary).removesuffix("."),
        "description": _markdown(more) or None,
        "parameters": _parameters(one, components) or None,
        "requestBody": _request(one, schemas, components),
        "responses": _responses(one, schemas),
        "security": _security(one),
        "x-andon-verb": one.rule.verb and {"verb": one.rule.verb, "where": one.rule.place},
    }
    return {key: value for key, value in said.items() if value is not None}


def _parameters(one: Operation, components: Json) -> list[Json]:
    found: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATHS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in _TEMPLATE.findall(one.path)
    ]
    if one.query is not None:
        found += _query(components[one.query.__name__])
    if one.labels:
        found.append(_LABELS)
    if one.once:
        found.append(_KEY)
    if one.revised:
        found.append(_IF_MATCH)
    if one.resumes:
        found.append(_LAST_EVENT)
    return found


def _query(schema: Json) -> list[Json]:
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            **({"description": field["description"]} if "description" in field else {}),
            "schema": {key: value for key, value in field.items() if key != "description"},
        }
        for name, field in schema["properties"].items()
    ]


def _request(one: Operation, schemas: dict[Any, Json], components: Json) -> Json | None:
    if one.body is not None:
        return {"required": True, "content": {JSON: {"schema": schemas[repr(one.body)]}}}
    if one.form is not None:
        form = _told(components[one.form.__name__])
        return {"required": False, "content": {FORM: {"schema": form}}}
    if one.takes:
        return {"required": True, "content": {name: {"schema": _sent(name)} for name in one.takes}}
    return None


def _sent(media: str) -> Json:
    if media == NDJSON:
        return {"type": "string", "description": "Lines of JSON."}
    if "batch" in media:
        return {"type": "array", "minItems": 1, "maxItems": 100, "items": _CLOUD_EVENT}
    if media in (OCTETS, PROTOBUF):
        return {"type": "string", "format": "binary", "description": "Bytes as they are."}
    if media == FORM:
        return _FORM
    return _CLOUD_EVENT if "cloudevents" in media else {"type": "object"}


def _responses(one: Operation, schemas: dict[Any, Json]) -> Json:
    good: Json = {"description": _markdown(inspect.getdoc(one.handler) or "").partition(".")[0]}
    if one.answer is not None:
        good["content"] = {one.media: {"schema": schemas[repr(one.answer)]}}
    headers = _headers(one)
    if headers:
        good["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    found: Json = {str(one.status): good}
    if "ETag" in headers:
        etag = {"ETag": {"$ref": "#/components/headers/ETag"}}
        found["304"] = {"description": "It is as `If-None-Match` says.", "headers": etag}
    for status in sorted({error.http_status for error in failures(one)}):
        found[str(status)] = (
            {"$ref": f"#/components/responses/{_response_name(status)}"}
            if one.tells is None
            else _told_otherwise(status)
        )
    return found


def _told_otherwise(status: int) -> Json:
    told = [f"`{one.code}`: {_markdown(inspect.getdoc(one) or '')}" for one in _errors(status)]
    return {"description": " ".join(told), "content": {JSON: {"schema": {"type": "object"}}}}


def _headers(one: Operation) -> list[str]:
    found = ["Link"] if one.cursor else []
    if one.method == "GET" and "revision" in _fields(one.answer):
        found.append("ETag")
    return found


def _fields(kind: Any) -> Json:
    return get_type_hints(kind) if isinstance(kind, type) and kind.__module__ != "builtins" else {}


def failures(one: Operation) -> set[type[AndonError]]:
    """Return the errors that an operation may answer with."""
    found: set[type[AndonError]] = {NotLoggedIn, InternalError, Unavailable, TimedOut}
    found |= set(one.refuses)
    named = bool(_TEMPLATE.search(one.path))
    if one.rule.verb is not None or one.writes:
        found.add(Denied)
    if named or one.query or one.body or one.takes or one.form or one.once or one.writes:
        found.add(UsageError)
    if named or one.query or one.body or one.writes:
        found.add(NotFound)
    if one.writes:
        found.add(Conflict)
    if one.revised:
        found.add(Stale)
    return found


def _security(one: Operation) -> list[Json]:
    session: Json = {"session": [], "csrf": []} if one.method != "GET" else {"session": []}
    known: list[Json] = [{"token": []}, session]
    return known if one.rule.verb is not None else [{}, *known]


# --- what many share ----------------------------------------------------------------------------


def _statuses() -> list[int]:
    return sorted({error.http_status for error in ERRORS})


def _errors(status: int) -> list[type[AndonError]]:
    return [error for error in ERRORS if error.http_status == status]


def _response_name(status: int) -> str:
    return _errors(status)[0].code


def _problem(status: int) -> Json:
    told = [f"`{one.code}`: {_markdown(inspect.getdoc(one) or '')}" for one in _errors(status)]
    said: Json = {
        "description": " ".join(told),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status == NotLoggedIn.http_status:
        said["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return said


_HEADERS: Json = {
    "ETag": {
        "description": "The `revision` in quotes, for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": 'The next page, `<...>; rel="next"`; missing on the last one.',
        "schema": {"type": "string"},
    },
}
_SCHEMES: Json = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A service token, from `andon admin token create`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": f"A browser's session, from `POST /session`; `__Host-{COOKIE}` over TLS.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "What the session's pages send with every write: `csrf` of `GET /session`.",
    },
}
_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key is carried out once; sent again, it gets the "
    "answer of then. Another request with that key is refused.",
    "schema": {"type": "string", "maxLength": 200},
}
_IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "description": "The revision that it must still have; otherwise `Stale`.",
    "schema": {"type": "string"},
}
_LAST_EVENT: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "Sequence of the last event seen; goes before `after`.",
    "schema": {"type": "integer", "minimum": -1, "maximum": 2**62},
}
_LABELS: Json = {
    "name": "labels",
    "in": "query",
    "description": "Labels that must match, each a parameter of its own: `?service=shop`.",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}
_FORM: Json = {
    "type": "object",
    "required": ["payload"],
    "properties": {"payload": {"type": "string", "description": "The message, as JSON."}},
}
_TEXT: Json = {"type": "string", "minLength": 1, "maxLength": 512}
_CLOUD_EVENT: Json = {
    "type": "object",
    "description": "A CloudEvent with a CDEvent of 0.4 or 0.5 as its data.",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _TEXT,
        "source": _TEXT,
        "type": _TEXT,
        "data": {"type": "object"},
    },
}
