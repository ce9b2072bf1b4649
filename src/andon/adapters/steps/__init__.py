"""Typed steps: settings in, shell text and caches out.

A plugin names an object of ``StepKind`` under the entry point ``andon.steps``; ours are such objects, too.
Rendering is pure, and happens once, when a build is planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import msgspec

from andon.adapters.steps.node import Node
from andon.adapters.steps.python import Python
from andon.api.v1.jobs import TypedStep
from andon.kernel.errors import InvalidDocument

SEAM = "andon.steps"


class StepKind(Protocol):
    """A kind of typed step."""

    @property
    def settings(self) -> type[msgspec.Struct]:
        """What people may write under ``with``."""
        ...

    def render(self, settings: Any, /) -> TypedStep:
        """Return what a step comes to; pure.

        Raises:
            InvalidDocument: The settings contradict each other.
        """
        ...


BUILT_IN: Mapping[str, StepKind] = {"python": Python(), "node": Node()}


def render_step(name: str, settings: Mapping[str, Any]) -> TypedStep:
    """Return what a typed step comes to.

    Args:
        name: What ``uses`` says.
        settings: What ``with`` says.

    Raises:
        InvalidDocument: There is no such step, or its settings are not what it takes.
    """
    kind = _kind(name)
    try:
        written = msgspec.convert(dict(settings), type=kind.settings)
    except msgspec.ValidationError as error:
        fields = ", ".join(kind.settings.__struct_encode_fields__)
        raise InvalidDocument(f"step `{name}`: {error}", hint=f"it takes: {fields}") from None
    return kind.render(written)


def _kind(name: str) -> StepKind:
    if name in BUILT_IN:
        return BUILT_IN[name]
    found = list(_plugins(name))
    if not found:
        known = sorted({*BUILT_IN, *(point.name for point in entry_points(group=SEAM))})
        raise InvalidDocument(
            f"no typed step is called `{name}`",
            hint=f"there are: {', '.join(known)}; or write it as `run`",
        )
    kind: StepKind = found[0].load()
    return kind


def _plugins(name: str) -> Iterable[EntryPoint]:
    return entry_points(group=SEAM, name=name)
