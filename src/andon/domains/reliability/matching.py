"""Conditions on labels, as people write them for routes, silences and inhibition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from andon.api.v1.alerts import LONGEST_MATCHER
from andon.calc.patterns import whole
from andon.kernel.errors import UsageError

_MATCHER = re.compile(
    r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|(\S*))\s*'
)


class LabelMatcher(NamedTuple):
    """A condition on a label, as Alertmanager writes it; an absent label counts as empty."""

    name: str
    op: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels fulfil it; regular expressions match the whole value.

        >>> parse_matcher('service=~"shop|cart"').matches({"service": "cart"})
        True
        """
        found = labels.get(self.name, "")
        if self.op in ("=", "!="):
            return (found == self.value) == (self.op == "=")
        return bool(whole(self.value).fullmatch(found)) == (self.op == "=~")


@lru_cache(maxsize=2000)
def parse_matcher(text: str) -> LabelMatcher:
    """Read a matcher.

    Raises:
        UsageError: It is none.

    Source: Prometheus Alertmanager documentation, "Matcher".

    >>> parse_matcher('severity="page"')
    LabelMatcher(name='severity', op='=', value='page')
    """
    found = _MATCHER.fullmatch(text) if len(text) <= LONGEST_MATCHER else None
    if found is None:
        raise UsageError(
            f"{text[:80]!r} is no matcher: a label, one of = != =~ !~, and a value",
            hint="such as 'service=\"shop\"' or 'service=~\"shop|cart\"'",
        )
    name, op, quoted, bare = found.groups()
    value: str = bare if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
    if "~" in op:
        _refuse_bad(value)
    return LabelMatcher(name, op, value)


def _refuse_bad(pattern: str) -> None:
    try:
        whole(pattern)
    except ValueError as error:
        raise UsageError(str(error), hint="the syntax is RE2's, as Prometheus has it") from None


def all_match(matchers: Iterable[str], labels: Mapping[str, str]) -> bool:
    """Say whether labels fulfil all matchers.

    >>> all_match(['service="shop"', 'severity!="info"'], {"service": "shop"})
    True
    """
    return all(parse_matcher(text).matches(labels) for text in matchers)
