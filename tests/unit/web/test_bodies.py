"""What is sent is read whole or refused with a reason."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from andon.kernel.errors import UsageError
from andon.web.api.cord import HoldAsk
from andon.web.api.reading import OfSubject
from andon.web.bodies import decode, read_query

HOLD = '{"scope": {"service": "%s"}, "reason": "%s"}'


@pytest.mark.parametrize(("service", "reason"), [(r"a\u0000b", "r"), ("a", r"\u0000")])
def test_no_text_has_a_nul_in_it(service: str, reason: str) -> None:
    with pytest.raises(UsageError, match="a text with a NUL"):
        decode((HOLD % (service, reason)).encode(), HoldAsk, "/holds")


def test_what_only_looks_like_a_nul_is_none() -> None:
    ask = decode((HOLD % ("a", r"say \\u0000")).encode(), HoldAsk, "/holds")
    assert ask.reason == r"say \u0000"


def test_no_query_has_a_nul_in_it() -> None:
    scope = {"type": "http", "path": "/why", "query_string": b"subject=a%00", "headers": []}
    with pytest.raises(UsageError, match="a text with a NUL"):
        read_query(Request(scope), OfSubject)
