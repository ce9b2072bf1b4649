"""What the judge has seen, in words."""

from __future__ import annotations

import math

from andon.api.v1.latency import upper_bound
from andon.calc.sequential import log_mean
from andon.domains.delivery.evidence import JudgeState
from andon.domains.delivery.slowness import Stream
from andon.kernel.duration import format_duration


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def strength(log: float) -> str:
    """Write evidence as people read it: 132, 3.4, or a power of ten when it is huge.

    >>> strength(math.log(132)), strength(math.log(3.41)), strength(100.0)
    ('132', '3.4', '10^43')
    """
    if log >= math.log(1e6):
        return f"10^{log / math.log(10):.0f}"
    value = math.exp(log)
    return _number(value) if value >= 10 else f"{value:.1f}"


def tell_errors(state: JudgeState) -> str:
    """Say how many requests failed in both arms."""
    canary = f"{_number(state.canary_errors)} of {_number(state.canary_requests)} canary requests"
    if state.counted_errors < state.canary_errors and not state.crowded:
        canary = f"{canary} ({_number(state.counted_errors)} counted once a client)"
    if not state.stable_requests:
        return f"{canary} failed, no stable version to compare with"
    stable = f"{_number(state.stable_errors)} of {_number(state.stable_requests)}"
    return f"{canary} failed against {stable} stable ones"


def tell_loss(state: JudgeState) -> str:
    """Say which business metric lost most."""
    worst = max(state.gains, key=lambda one: one.betting.log)
    seen = worst.seen
    canary = seen.canary_gained / max(seen.canary_occasions, 1.0)
    stable = seen.stable_gained / max(seen.stable_occasions, 1.0)
    return f"{worst.name}: {canary:.4g} per occasion against {stable:.4g} of stable"


def tell_slowness(state: JudgeState) -> str:
    """Say at which threshold the canary is slow most clearly."""
    worst = max(state.streams, key=_stream_log)
    canary = f"{_number(worst.slow)} of {_number(worst.timed)} canary requests"
    allowed = format_duration(upper_bound(worst.allowed))
    if not worst.noise.trials:
        return f"{canary} took over {allowed}"
    stable = f"{_number(worst.noise.hits)} of {_number(worst.noise.trials)} stable ones"
    return (
        f"{canary} took over {allowed} against {stable}"
        f" over {format_duration(upper_bound(worst.bucket))}"
    )


def _stream_log(stream: Stream) -> float:
    return log_mean(stream.logs)


def caveat(state: JudgeState) -> str:
    """Say what keeps the promise from holding, if anything does."""
    if not state.crowded:
        return ""
    return " (few distinct clients, so clustered errors are discounted, not counted once a client)"


def tell_idle(state: JudgeState) -> str:
    """Say since when nobody has used the canary."""
    if not state.canary_requests:
        return "no traffic, so nothing is known"
    return f"no traffic for {format_duration(state.idle_seconds)}"
