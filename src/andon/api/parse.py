"""Read documents from YAML and report everything that is wrong with them at once.

The bytes may come from anybody's repository: size, nesting and expansion are bounded before
anything is built, and no input makes this module raise anything but its own answer.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import ryaml  # its stubs re-export without saying so
from msgspec import Struct, structs

from andon.api.fragments import Fragment, fragments
from andon.api.openslo import is_openslo
from andon.api.positions import Place, Positions, expanded_nodes, locate, too_deep
from andon.api.problems import Problem, did_you_mean, field_name, invalid, nearest, shorten
from andon.api.shape import MERGE_KEY, Misfit, field_paths, found, misfits
from andon.api.v1.definitions import API_VERSION, DEFINITIONS, Definition, Metadata

if TYPE_CHECKING:
    from andon.api.openslo.documents import Document

MAX_BYTES = 1_048_576
MAX_NODES = 100_000
MAX_PROBLEMS = 100

ELSEWHERE = {
    "Installation": "an Installation lies on the host, not in git: `andon up --config FILE`",
    "Scenario": "a Scenario is played, not shipped: `andon simulate --scenario FILE`",
    **dict.fromkeys(DEFINITIONS, "what a project defines stands in its andon.yaml, in git"),
}
"""Where documents belong that stand in a file that is not for them."""

_ENVELOPE = ("apiVersion", "kind", "metadata", "spec")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_PLACE = re.compile(r"(?: at)? line (\d+) column (\d+)")


Kinds = Mapping[str, type[Struct]]
"""Types of spec by kind."""


class Parsed(Struct, frozen=True, kw_only=True):
    """What a file says, and what is wrong with it."""

    definitions: tuple[Definition, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: frozenset[tuple[str, str]] = frozenset()
    """Kind and name of documents that have problems: they exist, but say nothing usable."""
    complete: bool = True
    """False when a document could not even be named: it may define anything."""
    openslo: tuple[Document, ...] = ()
    """OpenSLO documents, as they are."""
    warnings: tuple[Problem, ...] = ()
    """What is wrong with documents that are understood all the same."""
    notes: tuple[Problem, ...] = ()
    """What OpenSLO documents say that has no meaning here."""


def parse_documents(data: bytes, file: str) -> Parsed:
    """Read all documents of a file and check that no two have the same kind and name.

    Args:
        data: The file's bytes.
        file: Its name, for messages.
    """
    read = read_documents(data, file)
    return structs.replace(read, problems=(*read.problems, *duplicates(read.definitions)))


def read_documents(data: bytes, file: str, kinds: Kinds = DEFINITIONS) -> Parsed:
    """Read each document of a file by itself.

    Args:
        data: The file's bytes.
        file: Its name, for messages.
        kinds: What the file may define.

    Returns:
        The documents without problems, and all problems of the others.
    """
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data)} bytes; at most {MAX_BYTES} are read"
        return Parsed(complete=False, problems=(_at(file, Place(1, 1), message),))
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return Parsed(complete=False, problems=(_not_utf8(data, error, file),))
    read = [_read_fragment(fragment, file, kinds) for fragment in fragments(text)]
    definitions = tuple(itertools.chain.from_iterable(part.definitions for part in read))
    problems = itertools.chain.from_iterable(part.problems for part in read)
    return Parsed(
        definitions=definitions,
        problems=_limited(problems, file),
        broken=frozenset().union(*(part.broken for part in read)),
        complete=all(part.complete for part in read),
        openslo=tuple(one for part in read for one in part.openslo),
        warnings=tuple(one for part in read for one in part.warnings),
    )


def parse_or_raise(data: bytes, file: str) -> tuple[Definition, ...]:
    """Read all documents of a file.

    Raises:
        InvalidDocument: At least one has a problem; the message lists all problems.
    """
    parsed = parse_documents(data, file)
    if parsed.problems:
        raise invalid(parsed.problems)
    return parsed.definitions


def duplicates(definitions: Iterable[Definition]) -> Iterator[Problem]:
    """Yield a problem for each document whose kind and name another one has taken."""
    first: dict[tuple[str, str], Definition] = {}
    for definition in definitions:
        kind, name = definition.kind, definition.metadata.name
        taken = first.setdefault((kind, name), definition)
        if taken is not definition:
            yield Problem(
                file=definition.file,
                line=definition.line,
                column=1,
                field="metadata.name",
                message=f"{kind} `{name}` is already defined at {taken.file}:{taken.line}",
                hint="rename one of them or join the two",
            )


def _at(file: str, place: Place, message: str, field: str = "", hint: str = "") -> Problem:
    return Problem(
        file=file, line=place.line, column=place.column, field=field, message=message, hint=hint
    )


def _not_utf8(data: bytes, error: UnicodeDecodeError, file: str) -> Problem:
    before = data[: error.start]
    column = error.start - before.rfind(b"\n")
    message = f"byte 0x{data[error.start]:02x} is not UTF-8 text"
    place = Place(before.count(b"\n") + 1, column)
    return _at(file, place, message, hint="save the file as UTF-8")


def _limited(problems: Iterable[Problem], file: str) -> tuple[Problem, ...]:
    listed = tuple(itertools.islice(problems, MAX_PROBLEMS + 1))
    if len(listed) <= MAX_PROBLEMS:
        return listed
    more = _at(file, Place(0, 0), f"more problems follow; the first {MAX_PROBLEMS} are shown")
    return (*listed[:MAX_PROBLEMS], more)


def _read_fragment(fragment: Fragment, file: str, kinds: Kinds) -> Parsed:
    if "*" in fragment.text and expanded_nodes(fragment.text, MAX_NODES) > MAX_NODES:
        message = f"aliases expand to more than {MAX_NODES} values"
        place = Place(fragment.first_line, 1)
        return Parsed(
            complete=False, problems=(_at(file, place, message, hint="write the values out"),)
        )
    if too_deep(fragment.text):
        problems = _syntax_problems("recursion limit exceeded", fragment, file)
        return Parsed(complete=False, problems=problems)
    try:
        values = ryaml.loads_all(fragment.text) or []  # type: ignore[attr-defined]  # its own types lack it
    except Exception as error:  # whatever the reader says, the author needs it as a problem
        return Parsed(complete=False, problems=_syntax_problems(str(error), fragment, file))
    read = [_read_document(value, fragment, file, kinds) for value in values if value is not None]
    return Parsed(
        definitions=tuple(d for part in read for d in part.definitions),
        problems=tuple(p for part in read for p in part.problems),
        broken=frozenset().union(*(part.broken for part in read)),
        complete=all(part.complete for part in read),
        openslo=tuple(one for part in read for one in part.openslo),
        warnings=tuple(one for part in read for one in part.warnings),
    )


def _syntax_problems(said: str, fragment: Fragment, file: str) -> tuple[Problem, ...]:
    positions = locate(fragment.text, fragment.line_offset)
    if "duplicate entry" in said and positions.duplicates:
        return tuple(
            _at(
                file,
                positions.of_key(path),
                f"`{path[-1]}` is written twice in one mapping",
                field_name(path),
                "keep one of them",
            )
            for path in positions.duplicates[:MAX_PROBLEMS]
        )
    if "unhashable" in said and positions.compound_keys:
        message = "a list or mapping is used as a key"
        return tuple(
            _at(file, place, message, hint="keys are plain words")
            for place in positions.compound_keys[:MAX_PROBLEMS]
        )
    control = _CONTROL.search(fragment.text)
    if "control characters" in said and control:
        place = _place_of(fragment, control.start())
        message = f"the control character U+{ord(control[0]):04X} is not allowed"
        return (_at(file, place, message, hint="remove it"),)
    read = _PLACE.search(said)
    place = positions.syntax or Place(fragment.first_line, 1)
    if read:
        place = Place(int(read[1]) + fragment.line_offset, int(read[2]))
    return (_at(file, place, f"not YAML: {_syntax_message(said)}", hint=_syntax_hint(said)),)


def _place_of(fragment: Fragment, index: int) -> Place:
    before = fragment.text[:index]
    line = fragment.line_offset + before.count("\n") + 1
    return Place(line, index - before.rfind("\n"))


def _syntax_message(said: str) -> str:
    """Shorten what the YAML reader said to its first part; places are given separately."""
    if "recursion limit" in said:
        return "nested too deeply"
    return _PLACE.sub("", said.split(", while")[0]).strip()[:200]


def _syntax_hint(said: str) -> str:
    if "cannot start any token" in said or "tab character" in said:
        return "indent with spaces, not tabs, and quote text that starts with @, ` or %"
    if "recursion limit" in said:
        return "nothing in Andon's documents is nested that deeply"
    if "mapping values are not allowed" in said:
        return "check the indentation, or quote text that contains `: `"
    return ""


def _read_document(value: object, fragment: Fragment, file: str, kinds: Kinds) -> Parsed:
    if kinds is DEFINITIONS and is_openslo(value):
        return _read_openslo(value, fragment, file)
    right = _read_at_once(value, fragment, file, kinds)
    if right is not None:
        return right
    wrong = list(itertools.islice(_check_document(value, kinds), MAX_PROBLEMS + 1))
    if not wrong:
        try:
            return Parsed(definitions=(_convert(value, fragment, file, kinds),))
        except msgspec.ValidationError as error:
            wrong = [Misfit(path=(), message=str(error))]
    positions = locate(fragment.text, fragment.line_offset)
    problems = sorted(
        (_placed(misfit, positions, file) for misfit in wrong),
        key=lambda problem: (problem.line, problem.column),
    )
    broken = _identity(value, kinds)
    return Parsed(problems=tuple(problems), broken=broken, complete=bool(broken))


def _read_openslo(value: object, fragment: Fragment, file: str) -> Parsed:
    from andon.api.openslo.parse import read_value

    read = read_value(value, fragment.text, fragment.line_offset, fragment.first_line, file)
    return Parsed(problems=read.problems, openslo=read.documents, warnings=read.warnings)


def _read_at_once(value: object, fragment: Fragment, file: str, kinds: Kinds) -> Parsed | None:
    """Return a document in which nothing is wrong, without looking for what might be."""
    match value:
        case {"apiVersion": version, "kind": str(kind), "metadata": _, "spec": _, **more}:
            if version != API_VERSION or kind not in kinds or more or MERGE_KEY in fragment.text:
                return None
            if _ends_a_line(value):
                return None
        case _:
            return None
    try:
        return Parsed(definitions=(_convert(value, fragment, file, kinds),))
    except (msgspec.ValidationError, TypeError):
        return None


def _ends_a_line(value: object) -> bool:
    """Say whether a text but a shell's ends with a line break, which `$` in a pattern overlooks."""
    match value:
        case str():
            return value.endswith("\n")
        case dict():
            return any(
                _ends_a_line(key) or (key != "run" and _ends_a_line(one))
                for key, one in value.items()
            )
        case list():
            return any(map(_ends_a_line, value))
    return False


def _identity(value: object, kinds: Kinds) -> frozenset[tuple[str, str]]:
    match value:
        case {"kind": str(kind), "metadata": {"name": str(name)}}:
            return frozenset({(nearest(kind, kinds) or kind, name)})
    return frozenset()


def _convert(value: Any, fragment: Fragment, file: str, kinds: Kinds) -> Definition:
    spec: Any = msgspec.convert(value["spec"], kinds[value["kind"]])
    return Definition(
        kind=value["kind"],
        metadata=msgspec.convert(value["metadata"], Metadata),
        spec=spec,
        file=file,
        line=fragment.first_line,
    )


def _placed(misfit: Misfit, positions: Positions, file: str) -> Problem:
    place = positions.of_key(misfit.path) if misfit.at_key else positions.of_value(misfit.path)
    hint = misfit.hint
    if misfit.quote:
        hint = f"write it in quotes: {misfit.path[-1]}: {shorten(place.typed or '')}"
        if isinstance(misfit.path[-1], int):
            hint = f"write it in quotes: {shorten(place.typed or '')}"
    return _at(file, place, misfit.message, field_name(misfit.path), hint)


def _check_document(value: object, kinds: Kinds) -> Iterator[Misfit]:
    if not isinstance(value, dict):
        message = f"expected a document with `apiVersion`, `kind`, `metadata` and `spec`, found {found(value)}"
        yield Misfit(path=(), message=message)
        return
    yield from _check_version(value)
    yield from _check_kind(value, kinds)
    if "metadata" in value:
        yield from misfits(value["metadata"], Metadata, ("metadata",))
    else:
        yield Misfit(path=(), message="`metadata` is missing; expected `metadata: {name: …}`")
    for key in value:
        if key not in _ENVELOPE:
            yield _unknown_envelope_field(key, value, kinds)


def _check_version(value: dict[object, object]) -> Iterator[Misfit]:
    if "apiVersion" not in value:
        message = f"`apiVersion` is missing; expected `apiVersion: {API_VERSION}`"
        yield Misfit(path=(), message=message)
    elif value["apiVersion"] != API_VERSION:
        message = f"expected `{API_VERSION}`, found {found(value['apiVersion'])}"
        yield Misfit(path=("apiVersion",), message=message)


def _check_kind(value: dict[object, object], kinds: Kinds) -> Iterator[Misfit]:
    if "kind" not in value:
        names = ", ".join(f"`{kind}`" for kind in kinds)
        yield Misfit(path=(), message=f"`kind` is missing; expected one of {names}")
        return
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in kinds:
        hint = _kind_hint(kind, kinds)
        yield Misfit(path=("kind",), message=f"unknown kind: found {found(kind)}", hint=hint)
    elif "spec" in value:
        yield from misfits(value["spec"], kinds[kind], ("spec",))
    else:
        yield Misfit(path=(), message=f"`spec` is missing; expected what the {kind} should be")


def _kind_hint(kind: object, kinds: Kinds) -> str:
    if not isinstance(kind, str):
        return ""
    return ELSEWHERE.get(kind) or did_you_mean(kind, kinds, "known kinds")


def _unknown_envelope_field(key: object, value: dict[object, object], kinds: Kinds) -> Misfit:
    hint = did_you_mean(str(key), _ENVELOPE)
    kind = value.get("kind")
    below = field_paths(kinds[kind]) if isinstance(kind, str) and kind in kinds else {}
    if key == "status":
        hint = "`status` is written by Andon only; see: andon status"
    elif key == "name":
        hint = "`name` belongs in `metadata.name`"
    elif str(key) in below and not nearest(str(key), _ENVELOPE):
        hint = f"`{key}` belongs in `spec.{below[str(key)]}`"
    if key == MERGE_KEY:
        return Misfit(
            path=(MERGE_KEY,),
            message="merge keys (`<<`) are not part of YAML 1.2 and are refused",
            hint="write the fields out",
            at_key=True,
        )
    return Misfit(path=(str(key),), message="unknown field", hint=hint, at_key=True)
