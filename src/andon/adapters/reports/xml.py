"""XML as a stream, without entities of its own and within limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

from andon.kernel.errors import InvalidDocument

MOST_DEEP = 64
LONGEST_TOKEN_BYTES = 4 << 20
"""An attribute, comment or tag that is longer would have to be kept in memory whole."""
_CHUNK_BYTES = 256 << 10

Begin = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


def read_xml(file: BinaryIO, begin: Begin, end: End, text: Text | None = None) -> None:
    """Read elements as they come.

    Args:
        file: What is read, to its end.
        begin: Called with the name and the attributes of an element.
        end: Called with its name.
        text: Called with pieces of text.

    Raises:
        InvalidDocument: It is no XML, is cut short, declares entities, or goes beyond a limit; what was
            read until then was told.
    """
    parser: Any = expat.ParserCreate()
    depth = 0

    def down(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEEP:
            raise InvalidDocument(f"elements are more than {MOST_DEEP} deep")
        begin(name, attributes)

    def up(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser.StartElementHandler = down
    parser.EndElementHandler = up
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_declarations
    parser.SkippedEntityHandler = _refuse_entity
    try:
        _feed(parser, file)
    except expat.ExpatError as error:
        line = f"line {error.lineno}, column {error.offset}"
        raise InvalidDocument(f"{expat.ErrorString(error.code)} at {line}") from None
    except (ValueError, LookupError) as error:  # An encoding that nobody knows.
        raise InvalidDocument(f"cannot be decoded: {str(error)[:100]!a}") from None


def _feed(parser: Any, file: BinaryIO) -> None:
    fed = 0
    while chunk := file.read(_CHUNK_BYTES):
        fed += len(chunk)
        parser.Parse(chunk, False)
        if fed - parser.CurrentByteIndex > LONGEST_TOKEN_BYTES:
            raise InvalidDocument(f"something in it is longer than {LONGEST_TOKEN_BYTES >> 20} MiB")
    parser.Parse(b"", True)


def _refuse_declarations(name: str, system: str, public: str, inside: int) -> None:
    # Entities and defaults of attributes make much of little; a DTD elsewhere is never fetched.
    if inside:
        raise InvalidDocument("declares entities or attributes of its own")


def _refuse_entity(*_: object) -> NoReturn:
    raise InvalidDocument("uses an entity that it does not have")
