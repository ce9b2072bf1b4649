"""What a build Run will do, expanded and frozen: its jobs, and the artifacts to pack afterwards."""

from functools import cached_property

from andon.api.v1.definitions import Approvals
from andon.api.v1.pipelines import Quarantine
from andon.api.v1.words import Record


class SecretRef(Record, kw_only=True, frozen=True):
    """A secret by name, never by value.

    Args:
        name: Its name.
        environment: Where it holds; ``PIPELINES`` for build jobs.
        version: Which of its values; 0: the newest when it is used.
    """

    name: str
    environment: str
    version: int = 0


PIPELINES = "pipelines"
"""Scope of secrets for jobs that build."""


class StepPlan(Record, kw_only=True, frozen=True):
    """One piece of a job; a typed step has become shell text by now."""

    name: str
    run: str
    env: dict[str, str] = {}


class CachePlan(Record, kw_only=True, frozen=True):
    """Folders to bring before a job and to keep after it passed.

    Args:
        name: Of the cache.
        paths: What is kept.
        key: Patterns of files whose content decides.
        also: Further texts that decide.
        nearest: Whether the newest of this name will do where nothing fits.
    """

    name: str
    paths: tuple[str, ...]
    key: tuple[str, ...]
    also: tuple[str, ...] = ()
    nearest: bool = False


class TypedStep(Record, kw_only=True, frozen=True):
    """What a step that a plugin knows comes to."""

    run: str
    env: dict[str, str] = {}
    caches: tuple[CachePlan, ...] = ()


class BesidePlan(Record, kw_only=True, frozen=True):
    """A program that a job needs beside it: a process in its sandbox, or a container."""

    name: str
    run: str = ""
    image: str = ""
    port: int = 0
    env: dict[str, str] = {}
    ready_path: str = ""
    ready_command: str = ""
    ready_within_seconds: float = 60


class ReportsPlan(Record, kw_only=True, frozen=True):
    """Patterns of files that are read as data after a job."""

    junit: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()
    benchmark: tuple[str, ...] = ()


class RetryPlan(Record, kw_only=True, frozen=True):
    """How often a job that failed is run again, and for which reasons (numbers are exit codes)."""

    times: int
    reasons: tuple[str | int, ...]


class JobPlan(Record, kw_only=True, frozen=True):
    """A job as the controller and the executor need it: expanded, without any expression."""

    name: str
    run: str = ""
    """Shell text; empty where there are ``steps`` or an ``approval``."""
    needs: tuple[str, ...] = ()
    env: dict[str, str] = {}
    timeout_seconds: float = 600
    evidence: str = ""
    network: bool = False
    disk_bytes: int = 0
    """What its work tree and temporary files may take; 0: what the disk has."""
    irreversible: bool = False
    always: bool = False
    concurrency: str = ""
    secrets: dict[str, SecretRef] = {}
    """Secrets the job sees, by environment variable."""
    group: str = ""
    """The job in the document it came from, where a matrix or shards made several of it."""
    values: dict[str, str] = {}
    """What the matrix chose."""
    steps: tuple[StepPlan, ...] = ()
    approval: Approvals | None = None
    """The job is done when so many people said so; it runs nothing."""
    skip: str = ""
    """The rule by which it is skipped, in words for people; empty: it runs."""
    fail_fast: bool = False
    """When one of its group fails, the others are ended."""
    at_once: int = 0
    """So many of its group at a time; 0: no limit."""
    shard: int = 0
    shards: int = 1
    level: str = ""
    blocking: bool = True
    resumes: bool = True
    retry: RetryPlan | None = None
    inputs: tuple[str, ...] = ()
    key: str = ""
    """Digest of everything the job depends on, where it says all of that; empty: it always runs."""
    caches: tuple[CachePlan, ...] = ()
    artifacts: tuple[str, ...] = ()
    """Patterns of files that jobs which need this one get."""
    keep_artifacts_seconds: float = 14 * 86400.0
    reports: ReportsPlan = ReportsPlan()
    services: tuple[BesidePlan, ...] = ()
    image: str = ""
    runs_on: tuple[str, ...] = ()
    origin: str = ""
    """Where it is written: ``andon.yaml:12``, or ``<template> 1.2.0 (andon.yaml:40 at <sha>)``."""


class PackPlan(Record, kw_only=True, frozen=True):
    """An artifact to pack from a job's work tree."""

    service: str
    path: str
    job: str = ""


class BuildPlan(Record, kw_only=True, frozen=True, dict=True):
    """Steps of a build Run."""

    repository: str
    sha: str
    jobs: tuple[JobPlan, ...]
    packs: tuple[PackPlan, ...] = ()
    trusted: bool = True
    """False: a stranger's unreviewed change; no secrets, caches are read only."""
    concurrency: str = ""
    cancel_older: bool = False
    """End older Runs of the same ``concurrency``; else wait for them."""
    quarantine: tuple[Quarantine, ...] = ()
    flake_budget_ratio: float = 0.02
    """Share of Runs that may pass only on another attempt."""
    later_for: str = ""
    """The Run whose non-blocking jobs these are; empty: this is the Run that has the verdict."""
    given: dict[str, str] = {}
    """Jobs of that Run that passed and are needed here, with the blob of the files each left."""

    @property
    def labels(self) -> dict[str, str]:
        """Labels that its Runs are found by, besides those of every build."""
        return {"concurrency": self.concurrency} if self.concurrency else {}

    @cached_property
    def by_name(self) -> dict[str, JobPlan]:
        """Jobs by name."""
        return {job.name: job for job in self.jobs}
