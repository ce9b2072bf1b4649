"""Andon's own work as traces: a Change is a trace, its Runs and their steps are spans.

And requests as the gateway saw them, so that services which tell no spans are in traces, too.

Ids are made of the uids of what they are about, so that who makes them again makes the same.

Source: OpenTelemetry semantic conventions, CICD (names of attributes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from andon.api.v1.records import TERMINAL, Object, StepRow
from andon.api.v1.requests import GatewayRequest
from andon.api.v1.spans import ENVIRONMENT, GATEWAY, Span, SpanStatus

SERVICE = "andon"
LONGEST_MESSAGE = 300
_BAD = frozenset({"Failed", "RolledBack", "failed", "interrupted"})
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16


def trace_id(uid: str) -> str:
    """Return the id of the trace of a Change, by its uid.

    >>> len(trace_id("c1")), trace_id("c1") == trace_id("c1")
    (32, True)
    """
    return hashlib.sha256(f"trace/{uid}".encode()).hexdigest()[:_TRACE_DIGITS]


def span_id(uid: str, step: str = "", attempt: int = 0) -> str:
    """Return the id of the span of a Change, a Run or a Run's step.

    >>> span_id("r1") == span_id("r1", "build"), len(span_id("r1"))
    (False, 16)
    """
    return hashlib.sha256(f"span/{uid}/{step}/{attempt}".encode()).hexdigest()[:_SPAN_DIGITS]


def is_over(one: Object) -> bool:
    """Say whether a Change or Run has ended and can be told."""
    return one.status.phase in TERMINAL and bool(one.status.finished_at)


def change_span(change: Object) -> Span:
    """Return the span of a Change that ended: the root of its trace."""
    spec, status = change.spec, change.status
    begin = status.started_at or change.created_at
    return Span(
        trace=trace_id(change.uid),
        id=span_id(change.uid),
        name=f"change {change.name}",
        service=SERVICE,
        status=_status(status.phase),
        start_ns=_ns(begin),
        end_ns=_ns(max(begin, status.finished_at)),
        attributes=_told(
            {
                "andon.change": change.name,
                "andon.phase": status.phase,
                "vcs.repository.name": change.labels.get("repository", ""),
                "vcs.ref.head.name": spec.ref,
                "vcs.ref.head.revision": spec.sha,
                "vcs.change.title": spec.message.partition("\n")[0],
                "status.message": status.message,
            }
        ),
    )


def run_spans(run: Object, steps: Sequence[StepRow], change_uid: str) -> list[Span]:
    """Return the spans of a Run that ended, and of its steps that began.

    Args:
        run: The Run.
        steps: Its steps.
        change_uid: Of its Change; empty: it has none, and is a trace of its own.
    """
    plan, status = run.spec.rollout, run.status
    begin = status.started_at or run.created_at
    root = Span(
        trace=trace_id(change_uid or run.uid),
        id=span_id(run.uid),
        parent=span_id(change_uid) if change_uid else "",
        name=f"{run.spec.type} {plan.environment}/{plan.service}" if plan else run.spec.type,
        service=SERVICE,
        status=_status(status.phase),
        start_ns=_ns(begin),
        end_ns=_ns(max(begin, status.finished_at)),
        attributes=_told(
            {
                "cicd.pipeline.run.id": run.name,
                "andon.phase": status.phase,
                "andon.service": plan.service if plan else "",
                ENVIRONMENT: plan.environment if plan else "",
                "andon.verdict": status.verdict,
                "status.message": status.message,
            }
        ),
    )
    return [root, *(_step_span(root, run, step) for step in steps if step.started_at)]


def _step_span(root: Span, run: Object, step: StepRow) -> Span:
    end = step.finished_at or run.status.finished_at
    return Span(
        trace=root.trace,
        id=span_id(run.uid, step.name, step.attempt),
        parent=root.id,
        name=step.name,
        service=SERVICE,
        status=_status(step.state),
        start_ns=_ns(step.started_at),
        end_ns=_ns(max(step.started_at, end)),
        attributes=_told(
            {
                "cicd.pipeline.run.id": run.name,
                "cicd.pipeline.task.name": step.name,
                "andon.step.state": step.state,
                "andon.step.attempt": str(step.attempt),
                "andon.step.fault": step.fault or "",
                "andon.log": step.log,
                "status.message": step.message,
            }
        ),
    )


def gateway_span(one: GatewayRequest, source: str) -> Span:
    """Return the span of a request that went through the gateway.

    Where the gateway made the ``traceparent`` that it passed on, this is the span named there, and the first of
    its trace; else it lies below the caller's.

    Args:
        one: The request.
        source: Whose number it has.
    """
    start_ns = one.start_ms * 1_000_000
    own = hashlib.sha256(f"request/{source}/{one.number}".encode()).hexdigest()[:_SPAN_DIGITS]
    return Span(
        trace=one.trace,
        id=one.span if one.made else own,
        parent="" if one.made else one.span,
        name=one.service,
        service=GATEWAY,
        kind="client",
        status="error" if one.failed else "unset",
        start_ns=start_ns,
        end_ns=start_ns + one.duration_ms * 1_000_000,
        attributes=_told(
            {
                "peer.service": one.service,
                ENVIRONMENT: one.environment,
                "service.version": one.version,
                "http.response.status_code": str(one.status) if one.status > 0 else "",
                "url.path": one.path,
            }
        ),
    )


def _status(word: str) -> SpanStatus:
    return "error" if word in _BAD else "ok"


def _told(attributes: dict[str, str]) -> dict[str, str]:
    return {name: text[:LONGEST_MESSAGE] for name, text in attributes.items() if text}


def _ns(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000
