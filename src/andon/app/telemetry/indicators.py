"""Reads what objectives count: many counters of one metric in one look, exactly.

PromQL extrapolates; a promise is not judged by a guess. So an expression that only adds up counters is
read as the counters it names, and their increase is what was counted, no more. Any other expression is
asked for its value.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from andon.app.telemetry.queries import ask_instant
from andon.domains.reliability.goals import Match, Sli, Term
from andon.kernel.errors import AndonError
from andon.ports.telemetry import Labels, Matcher, MetricStore, Window

AskValue = Callable[[str, float], Sequence[float]]
"""Asks PromQL for values at a moment (seconds since the Unix epoch), one a series."""
NAME, BUCKET = "__name__", "le"
PLACEHOLDERS = ("{{.window}}", "{{ .window }}", "$__rate_interval", "$window")
_ADDS = frozenset({"sum"})
_COUNTS = frozenset({"rate", "increase"})
LOOKED_MS = 30 * 86_400_000
"""How long ago a histogram may have been told for the last time."""
_log = logging.getLogger("andon.telemetry")
_LISTED = re.compile(r"[A-Za-z0-9_-]+(\|[A-Za-z0-9_-]+)*")
_MANY = 4
"""So many terms of one metric are read in one look."""


class Increase(Struct, frozen=True):
    """What the counters of a term did, all together.

    Args:
        increase: By how much they grew.
        covered_seconds: How long at least one of them was observed.
        samples: How many there were.
    """

    increase: float = 0.0
    covered_seconds: float = 0.0
    samples: int = 0


@functools.lru_cache(maxsize=10_000)
def plain(query: str) -> tuple[Match, ...]:
    """Return the counters that an expression adds up; none: it does something else.

    >>> plain('sum(rate(http_total{code="200"}[{{.window}}]))')
    (('__name__', '=', 'http_total'), ('code', '=', '200'))
    >>> plain('1 - http_total')
    ()
    """
    import promql_parser

    for placeholder in PLACEHOLDERS:
        query = query.replace(placeholder, "5m")
    try:
        return _selected(promql_parser.parse(query))
    except ValueError:
        return ()


def _selected(expr: Any) -> tuple[Match, ...]:
    match type(expr).__name__:
        case "ParenExpr":
            return _selected(expr.expr)
        case "AggregateExpr" if str(expr.op) in _ADDS:
            return _selected(expr.expr)
        case "Call" if expr.func.name in _COUNTS and len(expr.args) == 1:
            return _selected(expr.args[0])
        case "MatrixSelector":
            return _selected(expr.vector_selector)
        case "VectorSelector" if not (expr.offset or expr.at or expr.matchers.or_matchers):
            return _matches(expr)
    return ()


_OPERATORS: dict[str, Any] = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def _matches(selector: Any) -> tuple[Match, ...]:
    named: tuple[Match, ...] = ((NAME, "=", selector.name),) if selector.name else ()
    told: tuple[Match, ...] = tuple(
        (one.name, _OPERATORS[str(one.op).rpartition(".")[2]], one.value)
        for one in selector.matchers.matchers
    )
    return (*named, *told)


def exact(sli: Sli) -> Sli:
    """Return an indicator whose expressions are read as counters, where that is what they are."""
    return replace(
        sli,
        total=_exact(sli.total),
        good=_exact(sli.good),
        bad=_exact(sli.bad),
    )


def _exact(term: Term | None) -> Term | None:
    if term is None or not term.query:
        return term
    return replace(term, matchers=plain(term.query))


def matchers_of(matches: Iterable[Match]) -> list[Matcher]:
    """Return conditions as a store knows them."""
    return [Matcher(name, op, value) for name, op, value in matches]


class Reader:
    """Reads terms over one window.

    Args:
        store: The samples.
        start_ms: Where the window begins, exclusive.
        end_ms: Where it ends.
    """

    def __init__(self, store: MetricStore, start_ms: int, end_ms: int) -> None:
        self._store = store
        self._window = (start_ms, end_ms)
        self._found: dict[Term, Increase] = {}

    def read(self, terms: Iterable[Term]) -> None:
        """Look up terms, those of one metric together."""
        groups: dict[tuple[Match, ...], list[Term]] = {}
        for term in set(terms) - self._found.keys():
            groups.setdefault(_shared(term), []).append(term)
        for shared, some in groups.items():
            if len(some) < _MANY or not shared:
                for term in some:
                    self._found[term] = _sum(self._increase(term.matchers))
            else:
                self._distribute(some, self._increase(shared))

    def of(self, term: Term) -> Increase:
        """Return what a term counted."""
        if term not in self._found:
            self.read([term])
        return self._found[term]

    def _increase(self, matches: Sequence[Match]) -> dict[Labels, Window]:
        return self._store.increase(matchers_of(matches), *self._window)

    def _distribute(self, terms: Sequence[Term], windows: dict[Labels, Window]) -> None:
        """Give each term its series, by the values that it wants to be equal."""
        by_names: dict[tuple[str, ...], dict[tuple[str, ...], dict[Labels, Window]]] = {}
        for names in {_equal_names(term) for term in terms}:
            index = by_names.setdefault(names, {})
            for labels, window in windows.items():
                told = dict(labels)
                key = tuple(told.get(name, "") for name in names)
                index.setdefault(key, {})[labels] = window
        for term in terms:
            wanted = {name: value for name, op, value in term.matchers if op == "="}
            names = _equal_names(term)
            found = by_names[names].get(tuple(wanted[name] for name in names), {})
            if listed := _listed(term):
                found = {labels: one for labels, one in found.items() if _fits(labels, listed)}
            self._found[term] = _sum(found)


def _shared(term: Term) -> tuple[Match, ...]:
    """Return what terms of one look have in common: the metric, a bucket, and what needs the store."""
    return tuple(
        one
        for one in term.matchers
        if one[0] in (NAME, BUCKET) or (one[1] != "=" and not _is_one_of(one))
    )


def _is_one_of(match: Match) -> bool:
    """Say whether a regular expression only lists values, such as ``5xx|failed``."""
    return match[1] == "=~" and _LISTED.fullmatch(match[2]) is not None


@functools.lru_cache(maxsize=10_000)
def _listed(term: Term) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the labels that may have one of several values."""
    return tuple((one[0], frozenset(one[2].split("|"))) for one in term.matchers if _is_one_of(one))


def _fits(labels: Labels, listed: Iterable[tuple[str, frozenset[str]]]) -> bool:
    told = dict(labels)
    return all(told.get(name, "") in values for name, values in listed)


@functools.lru_cache(maxsize=10_000)
def _equal_names(term: Term) -> tuple[str, ...]:
    return tuple(name for name, op, _ in term.matchers if op == "=" and name != NAME)


def _sum(windows: dict[Labels, Window]) -> Increase:
    """Add series up. A counter that stands at zero does not see that the others began anew."""
    if not windows:
        return Increase()
    moved = [one for one in windows.values() if one.increase > 0] or list(windows.values())
    return Increase(
        sum(one.increase for one in moved),
        max(one.covered_seconds for one in moved),
        sum(one.samples for one in windows.values()),
    )


class Buckets:
    """Knows which bucket of a histogram a limit falls into.

    Args:
        store: The samples.
    """

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._known: dict[Term, Term] = {}

    def found(self, term: Term | None, now_ms: int) -> Term | None:
        """Return a term that names its bucket: the first with a bound no less; None: there is none yet."""
        if term is None or not term.at_most:
            return term
        if term not in self._known:
            series = self._store.names_of(matchers_of(term.matchers), now_ms - LOOKED_MS, now_ms)
            bounds = {bound for labels in series for name, bound in labels if name == BUCKET}
            fitting = [bound for bound in bounds if float(bound) >= term.at_most * (1 - 1e-9)]
            if not fitting:
                return Term(matchers=(*term.matchers, (BUCKET, "=", "none")))
            bucket: Match = (BUCKET, "=", min(fitting, key=float))
            self._known[term] = Term(matchers=(*term.matchers, bucket))
        return self._known[term]


def asking_values(store: MetricStore) -> AskValue:
    """Return what asks PromQL for values; an expression that cannot be answered has none."""

    def ask(query: str, at: float) -> Sequence[float]:
        try:
            data = ask_instant(store, query, round(at * 1000)).data
        except AndonError as error:
            _log.warning("an objective's %s: %s", query, error)
            return ()
        if data["resultType"] == "scalar":
            return (float(data["result"][1]),)
        return tuple(float(one["value"][1]) for one in data["result"])

    return ask
