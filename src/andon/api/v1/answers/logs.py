"""Logs of everything."""

from __future__ import annotations

from typing import Annotated, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time


class SaidLine(TypedDict):
    """A line that something running said."""

    at: Time
    text: str
    severity: Annotated[str, Meta(description="Empty: it does not say.")]
    source: Annotated[str, Meta(description="`service`, `job`, `otlp`, `andon`.")]
    service: str
    environment: str
    trace: Annotated[str, Meta(description="Id of its trace; empty: it names none.")]
    span: str
    template: Annotated[int, Meta(description="Id of its template; 0: it has none.")]
    labels: dict[str, str]
    attributes: dict[str, str]


class SaidLines(TypedDict):
    """Lines, newest first."""

    lines: list[SaidLine]
    next: Annotated[str, Meta(description="`before` of the next page; empty: there is none.")]


class LineTemplate(TypedDict):
    """What many lines have in common."""

    id: int
    text: Annotated[str, Meta(description="What varies is `<*>`.")]
    lines: int
    firstAt: Time
    lastAt: Time
    example: str


class LineBar(TypedDict):
    """Lines of a short time."""

    at: Time
    counts: Annotated[dict[str, int], Meta(description="By severity.")]


class LineHistogram(TypedDict):
    """Lines over time."""

    barSeconds: float
    bars: list[LineBar]
