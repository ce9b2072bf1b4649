"""Sigma rules as predicates over log lines, read by pySigma (extra ``security``).

A rule's condition becomes a function of a line's fields and text. What a predicate cannot say (correlations,
placeholders, queries of one product) is refused by name; the other rules of a folder count all the same.
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec import Struct

from andon.api.positions import expanded_nodes
from andon.calc.patterns import whole
from andon.kernel.errors import InvalidDocument, UsageError

MOST_RULES = 2_000
MOST_BYTES = 256 << 10
MOST_NODES = 10_000
LONGEST_CONDITION = 2_000
_LONGEST_NAME, _LONGEST_MESSAGE, _MOST_TAGS = 200, 500, 50
LEVELS = ("informational", "low", "medium", "high", "critical")
_COMPARE = {"LT": operator.lt, "LTE": operator.le, "GT": operator.gt, "GTE": operator.ge}
_FLAGS = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}

Fields = Mapping[str, str]
Test = Callable[[Fields, str], bool]


class Rule(Struct, frozen=True):
    """A rule, compiled.

    Args:
        id: Its id, or the name of its file.
        title: What it finds.
        level: How bad that is.
        tags: Such as ``attack.t1190``.
        category: Of its log source; ``webserver``: only lines of requests.
        service: Of its log source; empty: lines of every service.
        test: Says whether a line matches.
        services: Whose lines it may look at; None: everybody's.
    """

    id: str
    title: str
    level: str
    tags: tuple[str, ...]
    category: str
    service: str
    test: Test
    services: frozenset[str] | None = None

    def matches(self, fields: Fields, text: str, service: str) -> bool:
        """Say whether a line of a service is what the rule looks for."""
        if self.service and self.service != service:
            return False
        if self.services is not None and service not in self.services:
            return False
        if self.category == "webserver" and "c-uri" not in fields:
            return False
        return self.test(fields, text)


class Rules(Struct, frozen=True):
    """Rules, and why others are none."""

    rules: tuple[Rule, ...] = ()
    problems: tuple[str, ...] = ()


def read_rules(folder: Path) -> Rules:
    """Read the rules (``*.yml``, ``*.yaml``) of a folder and the folders in it.

    Raises:
        UsageError: There is no such folder, or pySigma is not installed.
    """
    _require_pysigma()
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder of Sigma rules", hint="telemetry.logs.sigma")
    files = sorted(one for one in folder.rglob("*") if one.suffix in (".yml", ".yaml"))
    texts = {str(one.relative_to(folder)): _text_of(one) for one in files[:MOST_RULES]}
    read = parse_rules(texts)
    more = (f"only {MOST_RULES} files are read",) if len(files) > MOST_RULES else ()
    return Rules(read.rules, (*more, *read.problems))


def _require_pysigma() -> None:
    if find_spec("sigma") is None:
        raise UsageError("Sigma rules need pySigma", hint="pip install 'andon[security]'")


def _text_of(file: Path) -> str | None:
    try:
        return file.read_text() if file.stat().st_size <= MOST_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None


def parse_rules(
    files: Mapping[str, str | None], *, services: Collection[str] | None = None, most_tests: int = 0
) -> Rules:
    """Compile the rules of texts; one that is none is told, and the others count all the same.

    Args:
        files: Texts by name; None: it cannot be read, or is too large.
        services: Whose lines they may look at; None: everybody's.
        most_tests: So many comparisons a line at most, of all of them; 0: any.

    Raises:
        UsageError: pySigma is not installed.
    """
    _require_pysigma()
    rules: list[Rule] = []
    problems: list[str] = []
    tests = 0
    for name, text in files.items():
        try:
            found, asked = _read(text, Path(name).stem, services)
        except InvalidDocument as error:
            problems.append(f"{name[:200]}: {error.message[:_LONGEST_MESSAGE]}")
            continue
        if most_tests and tests + asked > most_tests:
            problems.append(f"{name[:200]}: {most_tests} comparisons of a line are the most")
            continue
        rules, tests = rules + found, tests + asked
    return Rules(tuple(rules), tuple(problems))


def _read(text: str | None, stem: str, services: Collection[str] | None) -> tuple[list[Rule], int]:
    """Return the rules of a text, and how many comparisons they make of a line."""
    from sigma.collection import SigmaCollection
    from sigma.exceptions import SigmaError
    from sigma.rule import SigmaRule

    if text is None or len(text) > MOST_BYTES:
        raise InvalidDocument("it is too large to be a rule, or no text")
    if "*" in text and "&" in text and expanded_nodes(text, MOST_NODES) > MOST_NODES:
        raise InvalidDocument("its aliases expand too far")
    try:
        found = SigmaCollection.from_yaml(text)
        read, asked = [], 0
        for one in found.rules:
            if not isinstance(one, SigmaRule):
                raise InvalidDocument("correlations of rules are not evaluated")
            rule, tests = _compiled(one, stem, services)
            asked += tests
            read.append(rule)
    except InvalidDocument:
        raise
    except (SigmaError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidDocument(f"no Sigma rule: {error}") from None
    except Exception as error:
        # YAML's own errors have no base that is pySigma's to name.
        raise InvalidDocument(f"cannot be read: {type(error).__name__}") from None
    return read, asked


def _compiled(rule: Any, stem: str, services: Collection[str] | None) -> tuple[Rule, int]:
    conditions = rule.detection.condition
    if any(len(one) > LONGEST_CONDITION for one in conditions):
        raise InvalidDocument(f"a condition has at most {LONGEST_CONDITION} characters")
    parsed = [one.parsed for one in rule.detection.parsed_condition]
    tests = [_test(one) for one in parsed]
    level = rule.level.name.lower() if rule.level else "medium"
    compiled = Rule(
        id=str(rule.id or stem)[:_LONGEST_NAME],
        title=str(rule.title or stem)[:_LONGEST_NAME],
        level=level if level in LEVELS else "medium",
        tags=tuple(str(one)[:_LONGEST_NAME] for one in rule.tags[:_MOST_TAGS]),
        category=rule.logsource.category or "",
        service=rule.logsource.service or "",
        test=lambda fields, text: any(one(fields, text) for one in tests),
        services=None if services is None else frozenset(services),
    )
    return compiled, sum(map(_leaves, parsed))


def _leaves(item: Any) -> int:
    """Count the comparisons that a condition makes of a line at most."""
    if type(item).__name__ in ("ConditionAND", "ConditionOR", "ConditionNOT"):
        return sum(map(_leaves, item.args))
    return 1


def _test(item: Any) -> Test:
    match type(item).__name__:
        case "ConditionAND":
            return _every(map(_test, item.args))
        case "ConditionOR":
            return _some(map(_test, item.args))
        case "ConditionNOT":
            inner = _test(item.args[0])
            return lambda fields, text: not inner(fields, text)
        case "ConditionFieldEqualsValueExpression":
            return _of_field(item.field, item.value)
        case "ConditionValueExpression":
            return _of_text(item.value)
    raise InvalidDocument(f"{type(item).__name__} is not evaluated")


def _every(tests: Iterable[Test]) -> Test:
    all_of = tuple(tests)
    return lambda fields, text: all(one(fields, text) for one in all_of)


def _some(tests: Iterable[Test]) -> Test:
    one_of = tuple(tests)
    return lambda fields, text: any(one(fields, text) for one in one_of)


def _of_text(value: Any) -> Test:
    """Test a keyword: it stands anywhere in the line."""
    if type(value).__name__ == "SigmaNumber":
        digits = str(value)
        return lambda fields, text: digits in text
    pattern = _pattern(value, keyword=True)
    return lambda fields, text: pattern.search(text) is not None


def _of_field(field: str, value: Any) -> Test:
    kind = type(value).__name__
    if kind == "SigmaNull":
        return lambda fields, text: fields.get(field, "null") in ("", "null")
    if kind == "SigmaExists":
        wanted = bool(value.exists)
        return lambda fields, text: (field in fields) == wanted
    if kind == "SigmaFieldReference":
        other = value.field
        return lambda fields, text: field in fields and fields[field] == fields.get(other)
    said = _of_value(kind, value)
    return lambda fields, text: field in fields and said(fields[field])


def _of_value(kind: str, value: Any) -> Callable[[str], bool]:
    match kind:
        case "SigmaNumber":
            number = float(value.number)
            return lambda told: _number(told) == number
        case "SigmaBool":
            word = str(value.boolean).lower()
            return lambda told: told.lower() == word
        case "SigmaCIDRExpression":
            network = value.network
            return lambda told: _is_in(told, network)
        case "SigmaCompareExpression":
            compare, limit = _COMPARE[value.op.name], float(value.number.number)
            return lambda told: (found := _number(told)) is not None and compare(found, limit)
        case "SigmaRegularExpression":
            pattern = _pattern(value)
            return lambda told: pattern.search(told) is not None
    pattern = _pattern(value)
    return lambda told: pattern.fullmatch(told) is not None


def _pattern(value: Any, *, keyword: bool = False) -> Any:
    """Return a value as a pattern of RE2, which takes linear time whoever wrote it."""
    kind = type(value).__name__
    if kind == "SigmaRegularExpression":
        flags = "".join(_FLAGS[one.name] for one in value.flags)
        written = f"(?{flags}){value.regexp.original}" if flags else value.regexp.original
    elif kind in ("SigmaString", "SigmaCasedString"):
        written = ("" if kind == "SigmaCasedString" else "(?i)") + "".join(map(_part, value.s))
    else:
        where = "a keyword" if keyword else "a value"
        raise InvalidDocument(f"{kind} as {where} is not evaluated")
    try:
        return whole(written)
    except ValueError as error:
        raise InvalidDocument(str(error)) from None


def _part(part: Any) -> str:
    if isinstance(part, str):
        return re.escape(part)
    name = getattr(part, "name", "")
    if name == "WILDCARD_MULTI":
        return ".*"
    if name == "WILDCARD_SINGLE":
        return "."
    raise InvalidDocument("placeholders are not filled in")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_in(text: str, network: Any) -> bool:
    try:
        return ipaddress.ip_address(text) in network
    except ValueError:
        return False
