"""What an Objective's alerts must be: each able to fire, and somebody woken unless it says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from andon.api.burnrates import Derived, can_fire, derived_alerts, lowest_target, refuse_unfireable
from andon.api.problems import Path
from andon.api.templates import Finding
from andon.api.v1.objectives import BurnAlert, ObjectiveSpec
from andon.kernel.periods import length_seconds

TAKEN = ("silence", "contradiction")
"""Names of alerts that every Objective has, besides those on the burn."""
LONGEST_AFTER_SECONDS = 86_400.0


def check_alerts(spec: ObjectiveSpec) -> Iterator[Finding]:
    """Yield what is wrong with the alerts that an Objective has of its own: path, message, hint."""
    period = _seconds(spec.window)
    names = [*TAKEN, *(one.name for one in derived_alerts(period))] if period else [*TAKEN]
    for number, one in enumerate(spec.alerts):
        here: Path = ("spec", "alerts", number)
        if one.name in names:
            yield Finding((*here, "name"), f"another alert is already called `{one.name}`", "")
        names.append(one.name)
        yield from _check_lengths(one, spec, here)
        for _, target in targets_of(spec):
            if not can_fire(one.burn, target):
                yield _unfireable(one, target, (*here, "burn"))


def _check_lengths(one: BurnAlert, spec: ObjectiveSpec, here: Path) -> Iterator[Finding]:
    if not _seconds(one.window):
        yield Finding((*here, "window"), f"{one.window!r} is no length of time such as 1h", "")
    elif 0 < _seconds(spec.window) < _seconds(one.window):
        message = f"expected at most the Objective's own window ({spec.window}), found {one.window}"
        yield Finding((*here, "window"), message, "")
    if one.after is not None and not 0 < _seconds(one.after) <= LONGEST_AFTER_SECONDS:
        yield Finding((*here, "after"), f"expected at most 1d, found {one.after}", "")


def _unfireable(one: BurnAlert, target: float, path: Path) -> Finding:
    message = (
        f"an alert on a burn of {one.burn:g} can never fire at a target of {target:g}: more than "
        "everything would have to fail"
    )
    return Finding(path, message, f"expected less than {1 / (1 - target):g}")


def check_pages(spec: ObjectiveSpec) -> Iterator[Finding]:
    """Yield the targets for which nobody could ever be woken, though nothing says that this is meant."""
    if not spec.pages:
        return
    pages = [one for one in _derived(spec) if one.severity == "page"]
    own = [one.burn for one in spec.alerts if one.severity == "page"]
    for path, target in targets_of(spec):
        burns = [*(one.factor for one in pages), *own]
        if pages and not any(can_fire(burn, target) for burn in burns):
            lowest = min(one.factor for one in pages)
            message = (
                f"no page could ever fire: even if all fails, {target:g} over {spec.window} burns "
                f"{1 / (1 - target):.3g} times too fast, and the mildest page asks for {lowest:.3g}"
            )
            hint = (
                f"`pages: false` if nobody is to be woken, a page under `alerts` with a `burn` below "
                f"{1 / (1 - target):.3g}, or a target above {_share(lowest_target(lowest))}"
            )
            yield Finding(path, message, hint)


def lost_alerts(spec: ObjectiveSpec) -> Iterator[Finding]:
    """Yield the alerts that follow from a period and could never fire for a target: they fall away."""
    for path, target in targets_of(spec):
        for one in _derived(spec):
            reason = refuse_unfireable(one.factor, target)
            if reason and (spec.pages or one.severity != "page"):
                yield Finding(path, f"there is no alert {one.name}: {reason}", "")


def targets_of(spec: ObjectiveSpec) -> Iterator[tuple[Path, float]]:
    """Yield where an Objective says a target, and which."""
    if spec.availability is not None:
        yield ("spec", "availability"), spec.availability
    if spec.latency is not None:
        yield ("spec", "latency", "target"), spec.latency.target
    for number, one in enumerate(spec.targets):
        yield ("spec", "targets", number, "target"), one.target


def _derived(spec: ObjectiveSpec) -> tuple[Derived, ...]:
    period = _seconds(spec.window)
    return derived_alerts(period) if period else ()


def _seconds(text: str) -> float:
    """Return a length of time; 0: it is none, which is told elsewhere."""
    try:
        return length_seconds(text)
    except ValueError:
        return 0.0


def _share(target: float) -> str:
    """Write a share so that it is no less than it was.

    >>> _share(5 / 6)
    '0.8334'
    """
    return f"{-(-target * 10_000 // 1) / 10_000:g}"
