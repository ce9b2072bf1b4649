"""Decodes what is one of many types: a type is looked into once the first of it comes."""

from __future__ import annotations

from types import UnionType
from typing import Any, get_args

import msgspec
from msgspec import Struct


class _Tag(Struct):
    """The name of a value's type, under either of the names it goes by."""

    action: str = ""
    outcome: str = ""


_tag = msgspec.json.Decoder(_Tag)


class Tagged:
    """A decoder of values that name their type.

    Args:
        among: The types there are; what names none of them is refused as their union refuses it.
    """

    def __init__(self, among: UnionType) -> None:
        self._among = among
        self._types: dict[Any, type[Struct]] = {
            one.__struct_config__.tag: one for one in get_args(among)
        }
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    def type_of(self, text: str) -> type[Struct] | UnionType:
        """Return the type of an encoded value."""
        found = _tag.decode(text)
        return self._types.get(found.action or found.outcome, self._among)

    def decode(self, text: str) -> Any:
        """Return the value.

        Raises:
            msgspec.ValidationError: It is of none of these types.
        """
        type = self.type_of(text)
        decoder = self._decoders.get(type)
        if decoder is None:
            decoder = self._decoders[type] = msgspec.json.Decoder(type)
        return decoder.decode(text)
