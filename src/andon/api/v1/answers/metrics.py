"""Metrics, in the words of Prometheus."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta


class Prometheus(TypedDict):
    """An answer in the words of Prometheus's HTTP API."""

    status: Literal["success"]
    data: Annotated[Any, Meta(description="As Prometheus gives it.")]
    warnings: NotRequired[list[str]]
    infos: NotRequired[list[str]]
