"""What follows from spans: which traces stay, what is counted, who calls whom, and how a trace looks.

A trace that failed or was slow stays; of the rest a share, chosen by the trace's id alone, so that everybody
who decides decides the same. Counts are made of all spans, before any of them goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.spans import BOUNDS_SECONDS, ENVIRONMENT, GATEWAY, Edge, Span, Tally, TallyKey

Reason = Literal["error", "slow", "known", "sampled", ""]
OTHER = "(other)"
MOST_OPERATIONS, MOST_SERVICES = 200, 500
_RANDOM_BITS = 56
_ENTRIES = frozenset({"server", "consumer"})
_EXITS = frozenset({"client", "producer"})
_PEERS = (
    "peer.service",
    "db.namespace",
    "db.name",
    "db.system.name",
    "db.system",
    "messaging.destination.name",
    "messaging.system",
    "server.address",
    "net.peer.name",
)


class Sampling(Struct, frozen=True, kw_only=True):
    """Which traces stay.

    Args:
        ratio: Share of those that neither failed nor were slow, 0 to 1.
        slow_seconds: A trace as long as this is slow.
    """

    ratio: float
    slow_seconds: float


def why_kept(spans: Sequence[Span], known: Sequence[Span], rule: Sampling) -> Reason:
    """Say why spans of a trace stay; empty: they do not.

    Args:
        spans: Those to decide on.
        known: Those of the same trace that stay already.
        rule: Which traces stay.

    >>> span = Span(trace="0" * 31 + "1", id="1", start_ns=0, end_ns=2 * 10**9)
    >>> why_kept([span], [], Sampling(ratio=0, slow_seconds=2))
    'slow'
    >>> why_kept([span], [], Sampling(ratio=0, slow_seconds=3))
    ''
    """
    if any(span.status == "error" for span in spans):
        return "error"
    if _lasted(spans) >= rule.slow_seconds:
        return "slow"
    if known:
        return "known"
    return "sampled" if is_sampled(spans[0].trace, rule.ratio) else ""


def _lasted(spans: Sequence[Span]) -> float:
    """Return the time from the first start to the last end, in seconds."""
    return (max(span.end_ns for span in spans) - min(span.start_ns for span in spans)) / 1e9


def is_sampled(trace: str, ratio: float) -> bool:
    """Say whether a trace is among the share that stays, by its id alone.

    Args:
        trace: Its id, hexadecimal.
        ratio: The share, 0 to 1.

    Source: OpenTelemetry specification, consistent probability sampling: the last 56 bits of the id
    are random, and the greatest of them stay.

    >>> is_sampled("f" * 32, 0.01), is_sampled("f" * 32, 0), is_sampled("0" * 32, 1)
    (True, False, True)
    """
    return int(trace[-14:], 16) >= (1 - ratio) * (1 << _RANDOM_BITS)


# --- counting -------------------------------------------------------------------------------------


def is_request(span: Span) -> bool:
    """Say whether a span answers somebody: the requests of a service are counted by these.

    >>> is_request(Span(trace="1", id="1", parent="2", kind="internal", start_ns=0, end_ns=0))
    False
    """
    return span.kind in _ENTRIES or (not span.parent and span.kind not in _EXITS)


def count(spans: Iterable[Span], before: Mapping[TallyKey, Tally]) -> dict[TallyKey, Tally]:
    """Add requests to what was counted of their operations.

    Args:
        spans: Any spans.
        before: What was counted, by environment, service and operation.

    Returns:
        The tallies that changed.

    >>> span = Span(trace="1", id="1", service="shop", name="GET /", start_ns=0, end_ns=20_000_000)
    >>> count([span], {})["", "shop", "GET /"].ok
    1
    """
    requests: dict[TallyKey, list[Span]] = {}
    operations = Counter((environment, service) for environment, service, _ in before)
    for span in filter(is_request, spans):
        key = tally_key(span)
        if key not in requests and key not in before:
            key = _of_many(key, operations)
            if key not in requests and key not in before:
                operations[key[0], key[1]] += 1
        requests.setdefault(key, []).append(span)
    return {key: _with(before.get(key) or _begun(key), mine) for key, mine in requests.items()}


def _begun(key: TallyKey) -> Tally:
    environment, service, operation = key
    return Tally(environment=environment, service=service, operation=operation)


def tally_key(span: Span) -> TallyKey:
    """Return what a request counts for.

    >>> tally_key(Span(trace="1", id="1", service="shop", name="GET /", start_ns=0, end_ns=0))
    ('', 'shop', 'GET /')
    """
    return (span.attributes.get(ENVIRONMENT, ""), span.service, span.name)


def _of_many(key: TallyKey, operations: Mapping[tuple[str, str], int]) -> TallyKey:
    """Return what a new operation counts for; of too many, one for all."""
    environment, service, _ = key
    mine = operations.get((environment, service), 0)
    if not mine and len(operations) >= MOST_SERVICES:
        return ("", OTHER, OTHER)
    return (environment, service, OTHER) if mine >= MOST_OPERATIONS else key


def _with(tally: Tally, spans: Sequence[Span]) -> Tally:
    seconds = [span.seconds for span in spans]
    fresh = [0] * (len(BOUNDS_SECONDS) + 1)
    for one in seconds:
        fresh[bisect_left(BOUNDS_SECONDS, one)] += 1
    failed = sum(span.status == "error" for span in spans)
    before = tally.buckets or (0,) * len(BOUNDS_SECONDS)
    return replace(
        tally,
        ok=tally.ok + len(spans) - failed,
        failed=tally.failed + failed,
        seconds=tally.seconds + sum(seconds),
        buckets=tuple(old + new for old, new in zip(before, accumulate(fresh), strict=False)),
        last_ns=max(tally.last_ns, max(span.end_ns for span in spans)),
    )


# --- who calls whom -------------------------------------------------------------------------------


def calls(traces: Iterable[tuple[Sequence[Span], Sequence[Span]]]) -> list[Edge]:
    """Return who called whom in traces, by name.

    A request whose caller tells no spans comes from outside; a call that nobody answers with a span goes to
    the peer that the caller names: a database, a queue, an address.

    Args:
        traces: Of each the spans to count, and others of it that were counted before.

    >>> calls([([Span(trace="1", id="1", service="shop", kind="server", start_ns=0, end_ns=10**9)], [])])
    [Edge(caller='', callee='shop', calls=1, failed=0, seconds=1.0)]
    """
    found: dict[tuple[str, str], list[Span]] = {}
    for spans, known in traces:
        by_id = {span.id: span for span in (*known, *spans)}
        answered = {span.parent for span in by_id.values() if span.kind in _ENTRIES}
        for span in spans:
            if pair := _pair(span, by_id, answered):
                found.setdefault(pair, []).append(span)
    return [_edge(caller, callee, found[caller, callee]) for caller, callee in sorted(found)]


def _pair(span: Span, by_id: Mapping[str, Span], answered: set[str]) -> tuple[str, str] | None:
    """Return who called whom with a span; None: it is no call, or counted by its answer."""
    if span.kind in _EXITS:
        peer = "" if _is_answered(span, answered) else peer_of(span)
        return (_caller(span, by_id.get(span.parent)), peer) if peer else None
    if not is_request(span):
        return None
    caller = by_id.get(span.parent)
    return (caller.service if caller else "", span.service)


def _is_answered(span: Span, answered: set[str]) -> bool:
    """Say whether who was called tells of it: it is counted there.

    The gateway passes on the caller's own span, so what it saw lies beside the answer.
    """
    return span.id in answered or (span.service == GATEWAY and span.parent in answered)


def _caller(span: Span, parent: Span | None) -> str:
    """Return who made a call: of one below another of the gateway, whom that led to."""
    if span.service == GATEWAY and parent is not None:
        return peer_of(parent) if parent.service == GATEWAY else parent.service
    return span.service


def peer_of(span: Span) -> str:
    """Return what a call says it is made to; empty: nothing.

    >>> peer_of(Span(trace="1", id="1", start_ns=0, end_ns=0, attributes={"db.system": "redis"}))
    'redis'
    """
    return next((span.attributes[name] for name in _PEERS if span.attributes.get(name)), "")


def _edge(caller: str, callee: str, spans: Sequence[Span]) -> Edge:
    return Edge(
        caller=caller,
        callee=callee,
        calls=len(spans),
        failed=sum(span.status == "error" for span in spans),
        seconds=sum(span.seconds for span in spans),
    )


# --- a trace to look at ---------------------------------------------------------------------------


class Bar(Struct, frozen=True, kw_only=True):
    """A span in a waterfall.

    Args:
        span: It.
        depth: How many are above it.
        offset_seconds: From the beginning of the trace.
        self_seconds: In which none of its children ran.
        orphan: It names a parent that nobody told.
    """

    span: Span
    depth: int
    offset_seconds: float
    self_seconds: float
    orphan: bool = False


def waterfall(spans: Sequence[Span]) -> list[Bar]:
    """Put the spans of a trace in the order in which they are drawn: each before its children, by start.

    Spans that are their own ancestors, as broken programs tell, are drawn at the top.

    >>> a = Span(trace="1", id="a", start_ns=0, end_ns=10)
    >>> b = Span(trace="1", id="b", parent="a", start_ns=2, end_ns=4)
    >>> [(bar.span.id, bar.depth) for bar in waterfall([b, a])]
    [('a', 0), ('b', 1)]
    """
    ordered = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns, span.id))
    ids = {span.id for span in ordered}
    children: dict[str, list[Span]] = {}
    for span in ordered:
        children.setdefault(span.parent if span.parent in ids else "", []).append(span)
    begin = ordered[0].start_ns if ordered else 0
    bars: list[Bar] = []
    drawn: set[str] = set()
    for top in (*children.get("", ()), *ordered):
        waiting = [(top, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span.id in drawn:
                continue
            drawn.add(span.id)
            below = children.get(span.id, [])
            bars.append(
                Bar(
                    span=span,
                    depth=depth,
                    offset_seconds=(span.start_ns - begin) / 1e9,
                    self_seconds=_self_seconds(span, below),
                    orphan=bool(span.parent) and span.parent not in ids,
                )
            )
            waiting += [(child, depth + 1) for child in reversed(below)]
    return bars


def _self_seconds(span: Span, children: Iterable[Span]) -> float:
    """Return how long a span ran while none of its children did; children are in the order of start."""
    covered, until = 0, span.start_ns
    for child in children:
        start = max(child.start_ns, until)
        end = min(child.end_ns, span.end_ns)
        if end > start:
            covered += end - start
            until = end
    return max(0, span.end_ns - span.start_ns - covered) / 1e9
