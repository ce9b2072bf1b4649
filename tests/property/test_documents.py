"""No input breaks the parser, and its verdict equals the types'."""

from __future__ import annotations

import json

import msgspec
import pytest
import ryaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from andon.api.parse import parse_documents
from andon.api.project import check_project, group
from andon.api.shape import misfits
from andon.api.v1.definitions import DEFINITIONS
from andon.kernel.errors import InvalidDocument

words = st.sampled_from(
    [*DEFINITIONS, "apiVersion", "andon/v1", "kind", "metadata", "name", "spec", "<<", "jobs", "a"]
)
text = words | st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)
yaml_like = st.lists(
    st.sampled_from(
        ["---\n", "...\n", "kind: ", "Service\n", "spec:\n", "  ", "- ", "&a ", "*a ", "{", "}", "[", "]",
         "? ", ": ", "'", '"', "|\n", "#", "\t", "\r", "\u2028", "<<: ", "!x ", "%YAML 1.2\n", "é", "\0"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


def type_value(type_: inspect.Type) -> st.SearchStrategy[object]:
    """Return plain data that fits a type."""
    match type_:
        case inspect.Metadata():
            return type_value(type_.type)
        case inspect.UnionType():
            return st.one_of(*map(type_value, type_.types))
        case inspect.NoneType():
            return st.none()
        case inspect.StrType(pattern=None):
            characters = st.characters(exclude_categories=["C"])
            return st.text(characters, min_size=type_.min_length or 0, max_size=type_.max_length)
        case inspect.StrType():
            return st.from_regex(type_.pattern, fullmatch=True).filter(str.isprintable)
        case inspect.BoolType():
            return st.booleans()
        case inspect.LiteralType():
            return st.sampled_from(type_.values)
        case inspect.IntType():
            low = type_.ge if type_.ge is not None else -(2**40)
            return st.integers(low, type_.le if type_.le is not None else 2**40)
        case inspect.FloatType():
            low = type_.gt if type_.gt is not None else type_.ge
            high = type_.lt if type_.lt is not None else type_.le
            return st.floats(
                low,
                high if high is not None else 1e9,
                exclude_min=type_.gt is not None,
                exclude_max=type_.lt is not None,
            )
        case inspect.VarTupleType():
            return st.lists(type_value(type_.item_type), min_size=type_.min_length or 0, max_size=2)
        case inspect.DictType():
            keys = type_value(type_.key_type).filter(lambda key: key != "<<")
            return st.dictionaries(
                keys, type_value(type_.value_type), min_size=type_.min_length or 0, max_size=2
            )
        case inspect.StructType():
            required = {f.encode_name: type_value(f.type) for f in type_.fields if f.required}
            optional = {f.encode_name: type_value(f.type) for f in type_.fields if not f.required}
            return st.fixed_dictionaries(required, optional=optional)
    raise AssertionError(type_)


specs = st.sampled_from(sorted(DEFINITIONS)).flatmap(
    lambda kind: st.tuples(st.just(kind), type_value(inspect.type_info(DEFINITIONS[kind])))
)


def check(data: bytes) -> None:
    parsed = check_project({"f.yaml": data})
    for problem in parsed.problems:
        assert problem.message
        assert problem.line >= 0
        assert str(problem).count("\n") <= 1
    if not parsed.problems:
        group(parsed.definitions)


@given(st.binary(max_size=300))
def test_any_bytes_give_problems_or_definitions(data):
    check(data)


@settings(max_examples=300)
@given(yaml_like)
def test_any_text_made_of_yaml_pieces_gives_problems_or_definitions(text):
    check(text.encode(errors="surrogatepass"))


@given(values)
def test_any_nested_value_gives_problems_or_definitions(value):
    try:
        check(ryaml.dumps(value).encode())
    except (ryaml.InvalidYamlError, UnicodeError, OverflowError):
        check(json.dumps(value).encode())


@given(st.sampled_from(sorted(DEFINITIONS)), values)
def test_a_document_with_any_spec_gives_problems_or_definitions(kind, spec):
    document = {"apiVersion": "andon/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    check(json.dumps(document).encode())


@given(st.sampled_from(sorted(DEFINITIONS)), values)
def test_no_misfit_is_reported_exactly_when_the_type_takes_the_value(kind, spec):
    complaints = list(misfits(spec, DEFINITIONS[kind]))
    if not complaints:
        msgspec.convert(spec, DEFINITIONS[kind])
    else:
        with pytest.raises((msgspec.ValidationError, InvalidDocument)):
            msgspec.convert(spec, DEFINITIONS[kind])


@given(specs)
def test_every_valid_document_round_trips(kind_and_spec):
    kind, spec = kind_and_spec
    document = {"apiVersion": "andon/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    parsed = parse_documents(json.dumps(document, ensure_ascii=False).encode(), "f.yaml")
    assert [str(problem) for problem in parsed.problems] == []
    again = document | {"spec": msgspec.to_builtins(parsed.definitions[0].spec)}
    reread = parse_documents(json.dumps(again, ensure_ascii=False).encode(), "f.yaml")
    assert reread.definitions == parsed.definitions
