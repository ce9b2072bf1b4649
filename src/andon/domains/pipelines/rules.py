"""Rules by which a job is skipped, in words for people; the empty text: it runs."""

from __future__ import annotations

from collections.abc import Sequence

from andon.api.v1.pipelines import Triggers
from andon.kernel.patterns import matches_any

_SHOWN = 3


def by_triggers(triggers: Triggers, branch: str, paths: Sequence[str] | None) -> str:
    """Say which rule of the Pipeline leaves a change out.

    Args:
        triggers: The rules.
        branch: The change's branch.
        paths: What it touches; None: not known, and no rule about paths holds.

    >>> by_triggers(Triggers(branches=("main", "release/*")), "topic", None)
    'triggers.branches: `topic` is none of `main`, `release/*`'
    >>> by_triggers(Triggers(ignore_paths=("docs/**",)), "main", ["docs/a.md"])
    'triggers.ignorePaths: the change touches nothing but `docs/**`'
    >>> by_triggers(Triggers(ignore_paths=("docs/**",)), "main", ["docs/a.md", "a.py"])
    ''
    """
    if triggers.branches and not matches_any(triggers.branches, branch):
        return f"triggers.branches: `{branch}` is none of {_listed(triggers.branches)}"
    if paths is None:
        return ""
    if triggers.paths and not _touches(triggers.paths, paths):
        return f"triggers.paths: the change touches none of {_listed(triggers.paths)}"
    ignored = triggers.ignore_paths
    if ignored and paths and all(matches_any(ignored, path) for path in paths):
        return f"triggers.ignorePaths: the change touches nothing but {_listed(ignored)}"
    return ""


def by_paths(patterns: Sequence[str], paths: Sequence[str] | None) -> str:
    """Say that a change touches none of a job's paths.

    >>> by_paths(("src/**",), ["README.md"])
    'paths: the change touches none of `src/**`'
    >>> by_paths(("src/**",), None)
    ''
    """
    if not patterns or paths is None or _touches(patterns, paths):
        return ""
    return f"paths: the change touches none of {_listed(patterns)}"


def by_condition(condition: str) -> str:
    """Say that a job's condition is false.

    >>> by_condition("change.branch == 'main'")
    "if: `change.branch == 'main'` is false"
    """
    return f"if: `{' '.join(condition.split())[:200]}` is false"


def by_need(name: str, rule: str) -> str:
    """Say that what a job needs was skipped.

    >>> by_need("build", "needs lint, which was skipped: if: `false` is false")
    'needs build, which was skipped: if: `false` is false'
    """
    first = rule.rpartition(", which was skipped: ")[2]
    return f"needs {name}, which was skipped: {first}"


def branch_name(ref: str) -> str:
    """Return a branch or tag without the folder git keeps it in.

    >>> branch_name("refs/heads/feature/a")
    'feature/a'
    """
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _touches(patterns: Sequence[str], paths: Sequence[str]) -> bool:
    return any(matches_any(patterns, path) for path in paths)


def _listed(patterns: Sequence[str]) -> str:
    some = ", ".join(f"`{pattern}`" for pattern in patterns[:_SHOWN])
    return some if len(patterns) <= _SHOWN else f"{some} and {len(patterns) - _SHOWN} more"
