"""What browsers of real users tell of a page: counted by site, with nothing of the visitor.

Query strings and fragments are dropped wherever an address may stand, and parts of a path that look like the
name of one thing (numbers, ids, addresses of mail) become one word.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

MOST_PAGES = 100
OTHER = "(other)"
LONGEST_PAGE, LONGEST_TEXT, MOST_PARTS = 120, 300, 8
VITALS: dict[str, tuple[float, ...]] = {
    "ttfb_seconds": (0.1, 0.2, 0.4, 0.8, 1.2, 1.8, 3, 5),
    "load_seconds": (0.5, 1, 2, 3, 4, 6, 10, 20),
    "lcp_seconds": (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10),
    "inp_seconds": (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2),
    "cls": (0.01, 0.05, 0.1, 0.15, 0.25, 0.5, 1),
}
"""Bounds of the buckets of each; good and poor are among them.

Source: web.dev, Core Web Vitals: LCP 2.5 s and 4 s, INP 200 ms and 500 ms, CLS 0.1 and 0.25, TTFB 800 ms and 1.8 s.
"""
_ONE_THING = re.compile(r"^(?=.*\d)[0-9a-f-]{6,}$|^\d+$|@|%40|^[\w-]{24,}$", re.IGNORECASE)
_BEHIND = re.compile(r"[?#][^\s\"')>\]]*")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_LONG_NUMBER = re.compile(r"\d(?:[ -]?\d){8,}")
"""Such as of a telephone or a card."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

Text = Annotated[str, Meta(max_length=1000)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]


class PageError(Struct, frozen=True, kw_only=True):
    """An error of a page's scripts."""

    message: Text
    source: Text = ""
    line: Annotated[int, Meta(ge=0, le=10**9)] = 0


class Visit(Struct, frozen=True, kw_only=True):
    """What one view of a page told.

    Args:
        page: Its path.
        ttfb_seconds: To the first byte.
        load_seconds: Until it was loaded.
        lcp_seconds: Largest contentful paint.
        inp_seconds: Interaction to next paint.
        cls: Cumulative layout shift.
        errors: Of its scripts.
    """

    page: Text
    ttfb_seconds: Seconds | None = None
    load_seconds: Seconds | None = None
    lcp_seconds: Seconds | None = None
    inp_seconds: Seconds | None = None
    cls: Annotated[float, Meta(ge=0, le=1000)] | None = None
    errors: Annotated[tuple[PageError, ...], Meta(max_length=5)] = ()


def page_of(path: str) -> str:
    """Return a path as it is counted.

    >>> page_of("/orders/4711/items?token=x#y"), page_of("/u/ann@example.org/")
    ('/orders/:id/items', '/u/:id')
    """
    bare = _CONTROL.sub("", _BEHIND.sub("", path))
    parts = [part for part in bare.split("/") if part][:MOST_PARTS]
    told = "/" + "/".join(":id" if _ONE_THING.search(part) else part for part in parts)
    return told[:LONGEST_PAGE]


def cleaned(text: str) -> str:
    """Return a text without what follows ``?`` or ``#`` in addresses, and without what may name a person.

    >>> cleaned("Failed to load https://a.example/b?token=geheim (x)")
    'Failed to load https://a.example/b (x)'
    >>> cleaned("no user ann.b@example.org with card 4111 1111 1111 1111")
    'no user (mail) with card (number)'
    """
    bare = _CONTROL.sub(" ", _BEHIND.sub("", text))[:LONGEST_TEXT].strip()
    return _LONG_NUMBER.sub("(number)", _MAIL.sub("(mail)", bare))


def error_line(error: PageError) -> str:
    """Return an error as a line of a log.

    >>> error_line(PageError(message="x is undefined", source="https://a.example/app.js?v=1", line=7))
    'x is undefined (/app.js:7)'
    """
    source = cleaned(urlsplit(error.source).path) if _is_address(error.source) else ""
    return cleaned(error.message) + (f" ({source}:{error.line})" if source else "")


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://", "/"))


class Histogram(Struct, frozen=True):
    """Observations by bucket, cumulative."""

    buckets: tuple[int, ...]
    total: float = 0.0
    count: int = 0


class Tallied(Struct):
    """What was counted of the sites, since counting began.

    Args:
        views: By site and page.
        errors: The same.
        vitals: By site and name.
    """

    views: dict[tuple[str, str], int]
    errors: dict[tuple[str, str], int]
    vitals: dict[tuple[str, str], Histogram]

    def add(self, site: str, visit: Visit) -> str:
        """Count a visit; returns the page it counts for.

        >>> tallied = Tallied({}, {}, {})
        >>> tallied.add("shop", Visit(page="/", lcp_seconds=2.0))
        '/'
        >>> tallied.vitals["shop", "lcp_seconds"].buckets
        (0, 0, 0, 1, 1, 1, 1, 1, 1)
        """
        page = self._page(site, page_of(visit.page))
        self.views[site, page] = self.views.get((site, page), 0) + 1
        self.errors[site, page] = self.errors.get((site, page), 0) + len(visit.errors)
        for name, bounds in VITALS.items():
            value = getattr(visit, name)
            if value is not None:
                self.vitals[site, name] = _with(self.vitals, (site, name), bounds, value)
        return page

    def _page(self, site: str, page: str) -> str:
        if (site, page) in self.views:
            return page
        mine = sum(one == site for one, _ in self.views)
        return page if mine < MOST_PAGES else OTHER


def _with(
    known: Mapping[tuple[str, str], Histogram],
    key: tuple[str, str],
    bounds: tuple[float, ...],
    value: float,
) -> Histogram:
    before = known.get(key) or Histogram((0,) * len(bounds))
    first = bisect_left(bounds, value)
    buckets = tuple(n + (at >= first) for at, n in enumerate(before.buckets))
    return Histogram(buckets, before.total + value, before.count + 1)
