"""What a matrix means: which combinations it has, and what the jobs of them are called.

``include`` is read as GitHub reads it: an entry adds its values to every combination of the axes whose
own values it does not contradict (values that another entry added may be overwritten); one that fits
none is a combination of its own, to which nothing is added.

Source: GitHub, "Running variations of jobs in a workflow".
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from andon.api.v1.pipelines import Job, Matrix, Scalar

MOST_COMBINATIONS = 256
LONGEST_NAME = 63

Values = Mapping[str, Scalar]


def same(one: Scalar, other: Scalar) -> bool:
    """Say whether two values are the same and of one kind.

    >>> same(1, 1.0), same(1, True), same("3.11", 3.11)
    (True, False, False)
    """
    return kind(one) == kind(other)


def kind(value: Scalar) -> tuple[str, Scalar]:
    """Return a value with what it is: text, a number, or true or false.

    >>> kind(1) == kind(1.0), kind(True) == kind(1)
    (True, False)
    """
    if isinstance(value, bool):
        return "boolean", value
    return ("string" if isinstance(value, str) else "number"), value


def written(value: Scalar) -> str:
    """Write a value as a script sees it.

    >>> written(True), written(3), written(3.5), written("a b")
    ('true', '3', '3.5', 'a b')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def size(matrix: Matrix) -> int:
    """Say how many combinations there are at most, without making them."""
    return math.prod(len(values) for values in matrix.axes.values()) + len(matrix.include)


def combinations(matrix: Matrix) -> tuple[Values, ...]:
    """Return every combination, in the order written, the last axis running fastest.

    >>> combinations(Matrix(axes={"os": ("linux", "mac")}, exclude=({"os": "mac"},),
    ...                     include=({"os": "bsd"}, {"fast": True})))
    ({'os': 'linux', 'fast': True}, {'os': 'bsd'})
    """
    axes = matrix.axes
    made: Iterator[dict[str, Scalar]] = (
        dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())
    )
    kept = [one for one in made if one and not any(_has(one, out) for out in matrix.exclude)]
    extended = [dict(one) for one in kept]
    alone: list[Values] = []
    for entry in matrix.include:
        fitting = [new for old, new in zip(kept, extended, strict=True) if _fits(old, entry)]
        for one in fitting:
            one.update(entry)
        if not fitting:
            alone.append(dict(entry))
    return (*extended, *alone)


def _has(combination: Values, values: Values) -> bool:
    return all(name in combination and same(combination[name], values[name]) for name in values)


def _fits(combination: Values, entry: Values) -> bool:
    return all(same(combination[name], entry[name]) for name in entry if name in combination)


def members(name: str, job: Job) -> tuple[tuple[str, Values, int], ...]:
    """Return the jobs that a job becomes: their names, what the matrix chose, and which shard.

    A name depends on the values and on no order; those that would be alike get a mark each.

    Args:
        name: What the job is called in its document.
        job: The job.

    >>> [name for name, _, _ in members("unit", Job(run=":", matrix=Matrix(axes={"py": ("3.11",)})))]
    ['unit-3-11']
    >>> [(name, shard) for name, _, shard in members("unit", Job(run=":", shards=2))]
    [('unit-1-of-2', 1), ('unit-2-of-2', 2)]
    """
    chosen = combinations(job.matrix) if job.matrix is not None else ({},)
    shards = range(1, job.shards + 1) if job.shards > 1 else (0,)
    many = job.shards
    drafts = [
        (_words(values, f"{shard}-of-{many}" if shard else ""), values, shard)
        for values in chosen
        for shard in shards
    ]
    plain = [_joined(name, words) for words, _, _ in drafts]
    taken = Counter(plain)
    return tuple(
        (_unique(draft, words, values) if _must(draft, taken) else draft, values, shard)
        for draft, (words, values, shard) in zip(plain, drafts, strict=True)
    )


def _must(draft: str, taken: Mapping[str, int]) -> bool:
    return len(draft) > LONGEST_NAME or taken[draft] > 1


def _words(values: Values, shard: str) -> Sequence[str]:
    said = (re.sub(r"[^a-z0-9]+", "-", written(one).lower()).strip("-") for one in values.values())
    return [word for word in (*said, shard) if word]


def _joined(name: str, words: Sequence[str]) -> str:
    return "-".join((name, *words))


def _unique(draft: str, words: Sequence[str], values: Values) -> str:
    """Add what tells a member from others whose values are written alike, or are too long."""
    told = [*(f"{name}={type(value).__name__}:{value}" for name, value in values.items()), *words]
    mark = hashlib.sha256("\0".join(told).encode()).hexdigest()[:8]
    return f"{draft[: LONGEST_NAME - 9].rstrip('-')}-{mark}"
