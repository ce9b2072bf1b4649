"""Compare a value with a type and report everything that does not fit.

msgspec stops at the first error. This walk follows the same type descriptions
(``msgspec.inspect``) to the end, so that a person corrects a file once.
"""

from __future__ import annotations

import functools
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec.inspect as inspect
from msgspec import Struct

from andon.api.problems import Path, did_you_mean, nearest, shorten

MERGE_KEY = "<<"


class Misfit(Struct, frozen=True, kw_only=True):
    """A value that does not fit, before it has a file and a line."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
    quote: bool = False
    """The scalar should be quoted; the hint repeats it as it was typed."""


def misfits(value: object, type_: object, path: Path = ()) -> Iterator[Misfit]:
    """Yield all places where a value does not fit a type.

    Args:
        value: Plain data as read from YAML.
        type_: A msgspec struct class or other type.
        path: Where the value stands.
    """
    yield from _walk(value, _described(type_), path)


@functools.cache
def _described(type_: object) -> inspect.Type:
    return inspect.type_info(type_)


def field_paths(type_: object) -> dict[str, str]:
    """Return the dotted path of each field name below a struct, the shallowest first."""
    found: dict[str, str] = {}
    level: list[tuple[str, inspect.Type]] = [("", _described(type_))]
    while level:
        level = [deeper for prefix, type_info in level for deeper in _inside(prefix, type_info)]
        for path, _ in level:
            found.setdefault(path.rpartition(".")[2].removesuffix("[]"), path)
    return found


def _inside(prefix: str, type_: inspect.Type) -> Iterator[tuple[str, inspect.Type]]:
    plain = _plain(type_)
    if isinstance(plain, inspect.StructType):
        for field in plain.fields:
            yield (f"{prefix}.{field.encode_name}" if prefix else field.encode_name), field.type
    elif isinstance(plain, inspect.VarTupleType):
        yield from _inside(f"{prefix}[]", plain.item_type)
    elif isinstance(plain, inspect.DictType):
        yield from _inside(f"{prefix}.<name>", plain.value_type)


def _plain(type_: inspect.Type) -> inspect.Type:
    """Take descriptions and ``| None`` off a type."""
    while isinstance(type_, (inspect.Metadata, inspect.UnionType)):
        if isinstance(type_, inspect.Metadata):
            type_ = type_.type
        else:
            type_ = next(t for t in type_.types if not isinstance(t, inspect.NoneType))
    return type_


def _options(type_: inspect.Type) -> list[inspect.Type]:
    """Return what a type may be, besides nothing, without descriptions."""
    match type_:
        case inspect.Metadata():
            return _options(type_.type)
        case inspect.UnionType():
            return [option for inner in type_.types for option in _options(inner)]
        case inspect.NoneType():
            return []
    return [type_]


def _nullable(type_: inspect.Type) -> bool:
    if isinstance(type_, inspect.Metadata):
        return _nullable(type_.type)
    if isinstance(type_, inspect.UnionType):
        return any(_nullable(option) for option in type_.types)
    return isinstance(type_, inspect.NoneType)


def _walk(value: object, type_: inspect.Type, path: Path) -> Iterator[Misfit]:
    if value is None and _nullable(type_):
        return
    options = _options(type_)
    if len(options) > 1:
        yield from _walk_options(value, type_, options, path)
        return
    plain = options[0]
    if isinstance(plain, inspect.StructType):
        yield from _walk_struct(value, plain, path)
    elif isinstance(plain, inspect.DictType):
        yield from _walk_dict(value, plain, path)
    elif isinstance(plain, inspect.VarTupleType):
        yield from _walk_list(value, plain, path)
    elif not _fits(value, plain):
        hint, quote = _advice(value, plain, path)
        message = f"expected {expected(type_)}, found {found(value)}"
        yield Misfit(path=path, message=message, hint=hint, quote=quote)


def _walk_options(
    value: object, type_: inspect.Type, options: list[inspect.Type], path: Path
) -> Iterator[Misfit]:
    """Find one option that fits; of a list, say what is wrong with its items."""
    if any(next(_walk(value, option, path), None) is None for option in options):
        return
    lists = [option for option in options if isinstance(option, inspect.VarTupleType)]
    if isinstance(value, list) and lists:
        yield from _walk_list(value, lists[0], path)
        return
    message = f"expected {expected(type_)}, found {found(value)}"
    words = [word for one in options if isinstance(one, inspect.LiteralType) for word in one.values]
    hint = did_you_mean(value, map(str, words)) if words and isinstance(value, str) else ""
    yield Misfit(path=path, message=message, hint=hint)


def _walk_struct(value: object, type_: inspect.StructType, path: Path) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        names = ", ".join(f"`{field.encode_name}`" for field in type_.fields[:4])
        more = ", …" if len(type_.fields) > 4 else ""
        message = f"expected a mapping with {names}{more}, found {found(value)}"
        yield Misfit(path=path, message=message)
        return
    fields = {field.encode_name: field for field in type_.fields}
    for key, inner in value.items():
        if key in fields:
            yield from _walk(inner, fields[key].type, (*path, key))
        else:
            yield _unknown_field(key, fields, type_, path, value)
    for name, field in fields.items():
        if field.required and name not in value:
            message = f"`{name}` is missing; expected {expected(field.type)}"
            yield Misfit(path=path, message=message, at_key=True)


def _unknown_field(
    key: object,
    fields: Mapping[str, inspect.Field],
    type_: inspect.StructType,
    path: Path,
    value: Mapping[object, object],
) -> Misfit:
    here = (*path, str(key))
    if key == MERGE_KEY:
        return _merge(here)
    meant = nearest(str(key), fields)
    elsewhere = field_paths(type_.cls).get(str(key))
    if elsewhere and not (meant and meant not in value):
        hint = f"`{key}` belongs in `{field_path(path, elsewhere)}`"
    else:
        hint = did_you_mean(str(key), fields, "known fields")
    return Misfit(path=here, message="unknown field", hint=hint, at_key=True)


def field_path(path: Path, below: str) -> str:
    """Join a path and a dotted path below it."""
    return ".".join([*(str(part) for part in path), below])


def _merge(path: Path) -> Misfit:
    return Misfit(
        path=path,
        message="merge keys (`<<`) are not part of YAML 1.2 and are refused",
        hint="write the fields out; an Environment can take over another one's with `base`",
        at_key=True,
    )


def _walk_dict(value: object, type_: inspect.DictType, path: Path) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        yield Misfit(path=path, message=f"expected {expected(type_)}, found {found(value)}")
        return
    if type_.min_length and len(value) < type_.min_length:
        yield Misfit(path=path, message="expected at least one entry, found none")
    for key, inner in value.items():
        here = (*path, str(key))
        if key == MERGE_KEY:
            yield _merge(here)
            continue
        for misfit in _walk(key, type_.key_type, here):
            message = f"as a name here: {misfit.message}"
            yield Misfit(
                path=here,
                message=message,
                hint=misfit.hint if isinstance(key, str) else "",
                at_key=True,
            )
        yield from _walk(inner, type_.value_type, here)


def _walk_list(value: object, type_: inspect.VarTupleType, path: Path) -> Iterator[Misfit]:
    if not isinstance(value, list):
        hint = f"write a list: {_as_list(value)}" if isinstance(value, (str, int, float)) else ""
        yield Misfit(
            path=path, message=f"expected {expected(type_)}, found {found(value)}", hint=hint
        )
        return
    if type_.min_length and len(value) < type_.min_length:
        yield Misfit(path=path, message="expected at least one item, found an empty list")
    if type_.max_length is not None and len(value) > type_.max_length:
        message = f"expected at most {type_.max_length} items, found {len(value)}"
        yield Misfit(path=path, message=message)
        return
    for number, item in enumerate(value):
        yield from _walk(item, type_.item_type, (*path, number))


def _as_list(value: object) -> str:
    try:
        words = shlex.split(str(value))
    except ValueError:
        words = [str(value)]
    return f"[{', '.join(shorten(word) for word in words)}]"


def _fits(value: object, type_: inspect.Type) -> bool:
    match type_:
        case inspect.StrType():
            return isinstance(value, str) and _text_fits(value, type_)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return _is_whole(value) and _in_range(value, type_)
        case inspect.FloatType():
            return _is_number(value) and _in_range(value, type_)
        case inspect.LiteralType():
            return isinstance(value, str) and value in type_.values
        case inspect.AnyType():
            return True
    raise TypeError(f"documents use no {type(type_).__name__}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _text_fits(value: str, type_: inspect.StrType) -> bool:
    # A whole match: "$" alone would let a trailing line break through.
    most = len(value) if type_.max_length is None else type_.max_length
    return (type_.min_length or 0) <= len(value) <= most and (
        not type_.pattern or re.fullmatch(type_.pattern, value) is not None
    )


def _in_range(value: Any, type_: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (type_.ge is None or value >= type_.ge)
        and (type_.gt is None or value > type_.gt)
        and (type_.le is None or value <= type_.le)
        and (type_.lt is None or value < type_.lt)
    )


def found(value: object) -> str:
    """Say what a value is, as its author sees it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {shorten(value)}" if value else "an empty text"
        case list():
            return "a list"
    return "a mapping"


_PATTERNS = {
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$": (
        "a name of lower-case letters, digits and dashes (at most 63)"
    ),
    r"^/\S*$": "a path that starts with `/`",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "a name of letters, digits and underscores",
    r"^[0-9a-f]{40}$": "a full commit id (40 hexadecimal digits)",
    r"^\d+\.\d+\.\d+$": "a version such as `1.2.0`",
    r"^\d{4}-\d{2}-\d{2}$": "a day such as `2026-12-31`",
    r"^https?://\S+$": "an address that starts with `http://` or `https://`",
    r"^[0-9]+[mhdw]$": "a length of time such as `30d`, `4w` or `12h`",
    r"^[0-9]+[mhdwMQY]$": "a length of time such as `30d`, `4w` or `12h`",
    r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?$": (
        "a day or a moment such as `2026-12-31` or `2026-12-31 18:00:00`"
    ),
    r"^\S+:[0-9]{1,5}$": "an address and a port such as `127.0.0.1:7411`",
    r"^[^\s:]+:[0-9]+$": "a host and a port such as `mail.example.com:587`",
    r"^\S+@\S+$": "an address such as `andon@example.com`",
    r"^[A-Za-z0-9-]+$": "a header name of letters, digits and dashes",
    r"^[A-Za-z0-9_-]+$": "a cookie name of letters, digits, dashes and underscores",
}


def expected(type_: inspect.Type) -> str:
    """Say what a type wants, for people."""
    options = _options(type_)
    if len(options) > 1:
        return _any_of(options)
    plain = options[0]
    match plain:
        case inspect.StrType():
            if plain.pattern:
                return _PATTERNS.get(plain.pattern, f"text that matches `{plain.pattern}`")
            return _length(plain)
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.IntType():
            return f"a whole number{_range(plain)}"
        case inspect.FloatType():
            return f"a number{_range(plain)}"
        case inspect.LiteralType():
            return " or ".join(f"`{value}`" for value in plain.values)
        case inspect.VarTupleType():
            return f"a list, each item {expected(plain.item_type)}"
        case inspect.DictType():
            return f"a mapping from names to values, each {expected(plain.value_type)}"
        case inspect.StructType():
            names = ", ".join(f"`{field.encode_name}`" for field in plain.fields[:4])
            return f"a mapping with {names}{', …' if len(plain.fields) > 4 else ''}"
    return "another value"


def _any_of(options: list[inspect.Type]) -> str:
    """Name options; of whole numbers without bounds and numbers, only the wider."""
    wide = any(isinstance(option, inspect.FloatType) for option in options)
    named = [one for one in options if not (wide and isinstance(one, inspect.IntType))]
    return " or ".join(dict.fromkeys(expected(option) for option in named))


def _length(type_: inspect.StrType) -> str:
    if type_.max_length is None:
        return "text that is not empty" if type_.min_length else "text"
    fewest = f"{type_.min_length} to " if type_.min_length else "at most "
    return f"text of {fewest}{type_.max_length} characters"


def _range(type_: inspect.IntType | inspect.FloatType) -> str:
    low, high = _bound(type_.ge, type_.gt), _bound(type_.le, type_.lt)
    if type_.ge is not None and type_.le is not None:
        return f" from {low} to {high}"
    if type_.gt is not None and type_.lt is not None:
        return f" between {low} and {high}, both excluded"
    if type_.gt is not None:
        return f" above {low}" + (f" and at most {high}" if type_.le is not None else "")
    return f" of at least {low}" if type_.ge is not None else ""


def _bound(including: float | None, excluding: float | None) -> str:
    bound = including if including is not None else excluding
    return str(int(bound)) if bound is not None and bound == int(bound) else str(bound)


_OLD_BOOLEANS = {
    "yes": "true",
    "on": "true",
    "no": "false",
    "off": "false",
    "y": "true",
    "n": "false",
}
_NUMBER_WITH_UNIT = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:s|sec|secs|seconds|%)?")


def _advice(value: object, type_: inspect.Type, path: Path) -> tuple[str, bool]:
    """Return a hint, and whether the scalar should be quoted as it was typed."""
    match type_, value:
        case inspect.StrType(), bool() | int() | float():
            return "", True
        case inspect.StrType(), None:
            return "", not type_.pattern and not type_.min_length
        case inspect.BoolType(), str() if value.lower() in _OLD_BOOLEANS | {
            "true": "",
            "false": "",
        }:
            meant = _OLD_BOOLEANS.get(value.lower(), value.lower())
            return f"write `{meant}` (YAML 1.2 knows only true and false, without quotes)", False
        case inspect.IntType() | inspect.FloatType(), str():
            return _number_advice(value), False
        case inspect.LiteralType(), str():
            return did_you_mean(value, [str(known) for known in type_.values]), False
        case inspect.StrType(), str() if type_.pattern:
            return _name_advice(value, type_), False
    return "", False


def _number_advice(value: str) -> str:
    read = _NUMBER_WITH_UNIT.fullmatch(value.strip())
    return f"write the number alone, without quotes or unit: {read[1]}" if read else ""


def _name_advice(value: str, type_: inspect.StrType) -> str:
    """Return the nearest text that would fit, if lowering, dashes or a slash make it fit."""
    dashed = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:63].strip("-")
    for candidate in (value.strip(), dashed, f"/{value.strip()}", f"http://{value.strip()}"):
        if candidate and _text_fits(candidate, type_):
            return f"did you mean `{candidate}`?"
    return ""
