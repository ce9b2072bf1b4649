"""Andon itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta


class AdminState(TypedDict):
    """On which database Andon is, and why nothing is claimed."""

    paused: str
    database: str
    restored: Annotated[float, Meta(description="When this copy was made; 0: it is none.")]


class PlaceDifference(TypedDict):
    """A place where the world is not as a restored copy says."""

    environment: str
    service: str
    copy: str
    world: str
    desired: str
    keepable: bool


class Resumed(TypedDict):
    """Whether it goes on, and what is not as a restored copy says."""

    resumed: bool
    paused: str
    differences: list[PlaceDifference]


class ErrandError(TypedDict):
    """Why an errand failed."""

    code: str
    detail: str
    hint: str


class Errand(TypedDict):
    """Something that takes longer than one answer."""

    name: Annotated[str, Meta(description="Empty: there was none.")]
    state: Literal["running", "done", "failed"]
    progress: str
    result: dict[str, Any] | None
    error: NotRequired[ErrandError]


class Problem(TypedDict):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Meta(description="What happened, to which subject, and why.")]
    code: Annotated[str, Meta(description="One of the codes of Andon's errors.")]
    hint: Annotated[str, Meta(description="What to type or change next; empty: nothing.")]
    retry: Annotated[bool, Meta(description="Trying again later may succeed.")]
