"""Write a Pipeline as people write YAML: blocks of shell as they are, comments where they help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from andon.api.problems import Path

Comments = Mapping[Path, Sequence[str]]
"""Lines to stand above a value, by its path."""

_PLAIN = re.compile(r"[A-Za-z./$][\w./$@+-]*( [\w./$@+=-]+)*", re.ASCII)
_NUMBER = re.compile(r"\.[0-9]|\.(inf|nan)", re.IGNORECASE)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_BLOCK = re.compile(
    r"[\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
)
_FLOW_CHARACTERS = 88


def render(document: Mapping[str, Any], comments: Comments) -> str:
    r"""Return a document as YAML.

    >>> print(render({"a": {"run": "x\ny\n"}, "b": [1, "on"]}, {("b",): ["Why."]}), end="")
    a:
      run: |
        x
        y
    # Why.
    b: [1, "on"]
    """
    return "\n".join(_mapping(document, (), comments, "")) + "\n"


def _mapping(
    value: Mapping[str, Any], path: Path, comments: Comments, indent: str
) -> Iterator[str]:
    for name, inner in value.items():
        here = (*path, name)
        for line in comments.get(here, ()):
            yield f"{indent}# {_printable(line)}".rstrip()
        yield from _entry(f"{indent}{quoted(name)}:", inner, here, comments, indent)


def _entry(head: str, value: Any, path: Path, comments: Comments, indent: str) -> Iterator[str]:
    flow = _flow(value)
    blocks = isinstance(value, str) and "\n" in value.strip("\n")
    if blocks and _BLOCK.fullmatch(value) and value[:1] not in (" ", "\t", "\n"):
        yield f"{head} |{'' if _ends_once(value) else '-' if value[-1:] != chr(10) else '+'}"
        for line in value.removesuffix("\n").split("\n"):
            yield f"{indent}  {line}" if line else ""
    elif (
        isinstance(value, Mapping)
        and value
        and (len(head) + len(flow) > _FLOW_CHARACTERS or _deep(value))
    ):
        yield head
        yield from _mapping(value, path, comments, f"{indent}  ")
    elif (
        isinstance(value, list | tuple)
        and value
        and (len(head) + len(flow) > _FLOW_CHARACTERS or _deep(value))
    ):
        yield head
        for number, item in enumerate(value):
            yield from _item(item, (*path, number), comments, f"{indent}  ")
    else:
        yield f"{head} {flow}"


def _item(value: Any, path: Path, comments: Comments, indent: str) -> Iterator[str]:
    for line in comments.get(path, ()):
        yield f"{indent}# {_printable(line)}".rstrip()
    if isinstance(value, Mapping) and value:
        lines = list(_mapping(value, path, comments, f"{indent}  "))
        yield f"{indent}- {lines[0][len(indent) + 2 :]}"
        yield from lines[1:]
    else:
        yield from _entry(f"{indent}-", value, path, comments, indent)


def _ends_once(value: str) -> bool:
    return value.endswith("\n") and not value.endswith("\n\n")


def _deep(value: Any) -> bool:
    """Say whether a value is better read on several lines."""
    inside = list(value.values()) if isinstance(value, Mapping) else list(value)
    if isinstance(value, Mapping):
        return any(isinstance(one, Mapping | list | tuple) for one in inside) or any(
            isinstance(one, str) and "\n" in one for one in inside
        )
    return any(isinstance(one, Mapping) and (_deep(one) or "run" in one) for one in inside)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def quoted(text: str) -> str:
    """Write text as a YAML scalar: plain where no reader could take it for anything but text.

    >>> print(quoted("make test"), quoted("on"), quoted("1.5"), quoted("a: b"))
    make test "on" "1.5" "a: b"
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not _NUMBER.match(text):
        return text
    if '"' in text and text.isprintable() and "'" not in text and _BLOCK.fullmatch(text):
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=not _BLOCK.fullmatch(text)).replace("\x7f", "\\x7f")


def _printable(line: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in line)[:200]
