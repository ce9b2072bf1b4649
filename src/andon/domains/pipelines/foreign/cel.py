"""Conditions of other engines as CEL: what their parsers share."""

from __future__ import annotations

import json

from msgspec import Struct


class Untold(Exception):
    """A condition says what CEL over a change cannot; says what.

    Args:
        what: The part of it.
        instead: What to write.
    """

    def __init__(self, what: str, instead: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.instead = instead


class Said(Struct, frozen=True):
    """A piece of CEL, and how tightly it binds: 0 or, 1 and, 2 comparison, 3 call or value."""

    code: str
    binds: int = 3

    def within(self, binds: int) -> str:
        """Write it, in parentheses where it would come apart."""
        return self.code if self.binds >= binds else f"({self.code})"


TRUE, FALSE = Said("true"), Said("false")


def literal(text: str) -> str:
    r"""Write a text as CEL does.

    >>> literal('it is "so"')
    '"it is \\"so\\""'
    """
    return json.dumps(text, ensure_ascii=False)


def either(one: Said, other: Said) -> Said:
    """Join by or, without what is known.

    >>> either(FALSE, Said("a")).code, either(Said("a"), Said("b")).code
    ('a', 'a || b')
    """
    if TRUE in (one, other):
        return TRUE
    if FALSE in (one, other):
        return other if one == FALSE else one
    return one if one == other else Said(f"{one.within(0)} || {other.within(0)}", 0)


def both(one: Said, other: Said) -> Said:
    """Join by and, without what is known.

    >>> both(TRUE, Said("a")).code, both(Said("a || b", 0), Said("c")).code
    ('a', '(a || b) && c')
    """
    if FALSE in (one, other):
        return FALSE
    if TRUE in (one, other):
        return other if one == TRUE else one
    return one if one == other else Said(f"{one.within(1)} && {other.within(1)}", 1)


def negated(one: Said) -> Said:
    """Turn round.

    >>> negated(Said("a == b", 2)).code, negated(TRUE).code
    ('!(a == b)', 'false')
    """
    if one in (TRUE, FALSE):
        return FALSE if one == TRUE else TRUE
    return Said(f"!{one.within(3)}")


def of_branch(test: Said) -> Said:
    """Return a test of a branch that was pushed: whatever strangers call theirs is not meant."""
    return both(Said('change.event != "pull-request"', 2), test)
