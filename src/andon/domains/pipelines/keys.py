"""Keys of jobs: the same key, the same result.

A job that declares all files it depends on has a key: the digest of what it says, of those files, and
of the keys of what it needs. Where any of that is not known there is no key, and the job runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from msgspec import structs

from andon.api.v1.jobs import JobPlan
from andon.kernel.digest import sha256
from andon.kernel.patterns import matches, matches_any

_SAYS_NOTHING = {"key": "", "origin": ""}
"""Fields that change nothing about what a job does."""


def declared(patterns: Iterable[Sequence[str]], files: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of the files that jobs declare as their inputs.

    Args:
        patterns: Of each job.
        files: Digest of every file of the commit, by path.

    >>> declared([("src/**",), ()], {"src/a.py": "1", "README.md": "2"})
    {'src/a.py': '1'}
    """
    wanted = sorted({pattern for some in patterns for pattern in some})
    if not wanted:
        return {}
    return {path: digest for path, digest in files.items() if matches_any(wanted, path)}


def with_keys(
    jobs: Sequence[JobPlan], digests: Mapping[str, str], packed: Collection[str] = ()
) -> tuple[JobPlan, ...]:
    """Give every job its key that can have one.

    Args:
        jobs: All jobs of a Run, expanded.
        digests: Of the files that they declare, by path.
        packed: Jobs whose work tree becomes an artifact: they run, as somebody needs the tree.

    >>> unit, = with_keys([JobPlan(name="unit", run="pytest", inputs=("a.py",))], {"a.py": "1"})
    >>> other, = with_keys([JobPlan(name="unit", run="pytest", inputs=("a.py",))], {"a.py": "2"})
    >>> bool(unit.key), unit.key == other.key
    (True, False)
    >>> with_keys([JobPlan(name="unit", run="pytest", inputs=("b.py",))], {"a.py": "1"})[0].key
    ''
    """
    if not any(job.inputs for job in jobs):
        return tuple(jobs)
    return _Keys(jobs, digests, packed).all()


class _Keys:
    def __init__(
        self, jobs: Sequence[JobPlan], digests: Mapping[str, str], packed: Collection[str]
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._digests = sorted(digests.items())
        self._packed = packed
        self._inputs: dict[tuple[str, ...], str] = {}
        self._known: dict[str, str] = {}

    def all(self) -> tuple[JobPlan, ...]:
        for name in self._in_order():
            self._known[name] = self._key(self._jobs[name])
        return tuple(structs.replace(job, key=self._known[job.name]) for job in self._jobs.values())

    def _in_order(self) -> Iterable[str]:
        """Yield what is needed before what needs it; what needs itself never comes."""
        missing = {name: len(job.needs) for name, job in self._jobs.items()}
        needed_by: dict[str, list[str]] = {}
        for name, job in self._jobs.items():
            for need in job.needs:
                needed_by.setdefault(need, []).append(name)
        self._known = dict.fromkeys(missing, "")
        ready = [name for name, count in missing.items() if not count]
        while ready:
            name = ready.pop()
            yield name
            for one in needed_by.get(name, ()):
                missing[one] -= 1
                if not missing[one]:
                    ready.append(one)

    def _key(self, job: JobPlan) -> str:
        if not job.inputs or not self._may_be_reused(job):
            return ""
        needs = [(need, self._known.get(need, "")) for need in sorted(job.needs)]
        inputs = self._digest_of(job.inputs)
        if not inputs or not all(key for _, key in needs):
            return ""
        says = _as_stored(structs.replace(job, **_SAYS_NOTHING))
        return sha256(msgspec.json.encode((says, inputs, needs), order="deterministic"))

    def _may_be_reused(self, job: JobPlan) -> bool:
        """A value of a secret, a consent and a clean-up are no files."""
        return not (
            job.secrets or job.approval or job.always or job.skip or job.name in self._packed
        )

    def _digest_of(self, patterns: tuple[str, ...]) -> str:
        """Return the digest of the files that fit; empty where a pattern fits none, as by a mistake."""
        if patterns not in self._inputs:
            found = [one for one in self._digests if matches_any(patterns, one[0])]
            complete = all(any(matches(one, path) for path, _ in found) for one in patterns)
            self._inputs[patterns] = sha256(msgspec.json.encode(found)) if complete else ""
        return self._inputs[patterns]


def _as_stored(job: JobPlan) -> JobPlan:
    """Return a plan as it comes out of a database: a default of 600 is 600.0 there."""
    return msgspec.json.decode(msgspec.json.encode(job), type=JobPlan)
