"""What people read of the rollouts that are coming."""

from __future__ import annotations

from typing import Any

from click import unstyle

from andon.cli.foretelling import coming, tell, tell_coming
from andon.kernel.errors import NotFound

SEEN = {1.2: None, 2.0: 900.0, 3.0: 480.0, 30.0: 25.0}


def row(seen: dict[float, float | None] | None, advice: tuple[str, ...] = ()) -> dict[str, Any]:
    forecast = seen and {
        "requestsPerSecond": 100.0,
        "seen": [{"risk": risk, "afterSeconds": after} for risk, after in seen.items()],
        "advice": list(advice),
    }
    return {"service": "web", "environment": "prod", "forecast": forecast, "unknown": "no traffic"}


class Answering:
    """A session whose control plane says one thing."""

    def __init__(self, said: Any) -> None:
        self.client = self
        self.said = said

    def get(self, path: str, query: Any = None) -> Any:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def test_a_line_says_what_is_seen_at_this_traffic_and_what_is_not() -> None:
    assert tell(row(SEEN)) == (
        "web in prod, at 100 requests per second: a tripling of errors is seen in about 8 minutes, "
        "a 20 % rise of errors cannot be seen in this plan"
    )


def test_where_no_tripling_is_seen_it_says_what_is() -> None:
    assert tell(row(SEEN | {3.0: None, 2.0: None})).endswith(
        ": 30 times the errors is seen in about 25 seconds, "
        "a tripling of errors cannot be seen in this plan"
    )
    assert tell(row(dict.fromkeys(SEEN))).endswith(
        ": a tripling of errors cannot be seen in this plan"
    )


def test_unknown_traffic_is_said_and_never_guessed() -> None:
    assert tell(row(None)) == "web in prod: what the judge will see is unknown: no traffic"


def test_many_rollouts_are_a_few_lines_with_one_advice() -> None:
    lines = [unstyle(one).strip() for one in tell_coming([row(SEEN, ("stay longer",))] * 6)]
    assert len(lines) == 6
    assert lines[-2:] == ["and 2 more: `andon judge forecast SERVICE`", "advice: stay longer"]
    assert tell_coming([]) == []


def test_nobody_is_kept_from_shipping_by_a_forecast_that_cannot_be_had() -> None:
    assert coming(Answering(NotFound("no such route")), "shop-1") == []
    assert coming(Answering({"rollouts": [row(SEEN)]}), "shop-1") == [row(SEEN)]
