"""Programs beside a job: where they listen, what the job is told of them, and whether one has died."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from andon.adapters.process import ports
from andon.adapters.process.steps import read_note
from andon.api.v1.jobs import BesidePlan
from andon.kernel.errors import StepFailed

_FIRST_OF_SANDBOX = 20_001
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_ENDED_BY_US = ("0", "129", "130", "137", "143")


def choose_ports(
    services: Sequence[BesidePlan], key: str, taken: Collection[int], *, own_network: bool
) -> dict[str, int]:
    """Return a port for each service.

    Args:
        services: Of one job.
        key: The job's.
        taken: Ports of other jobs that run.
        own_network: Whether nobody else listens in the job's network.

    Raises:
        StepFailed: One is no process.
        Unavailable: No port is free.
    """
    chosen: dict[str, int] = {}
    for number, service in enumerate(services):
        _check(service)
        chosen[service.name] = (
            _FIRST_OF_SANDBOX + number
            if own_network
            else ports.choose(f"{key}/{service.name}", {*taken, *chosen.values()})
        )
    return chosen


def _check(service: BesidePlan) -> None:
    if not _NAME.fullmatch(service.name):
        raise StepFailed(f"{service.name!r} cannot name a service")
    if not service.run:
        raise StepFailed(
            f"the service {service.name} is a container, and the job is not: they would not meet",
            hint="say `run` instead of `image` for the service, or `image` for the job, too",
        )


def told(chosen: Mapping[str, int]) -> dict[str, str]:
    """Return the environment variables that say where services are."""
    env: dict[str, str] = {}
    for name, port in chosen.items():
        prefix = name.upper().replace("-", "_")
        env |= {f"{prefix}_HOST": "127.0.0.1", f"{prefix}_PORT": str(port)}
    return env


def log_name(job_log: str, service: str) -> str:
    """Return the name of a service's log, beside the job's.

    >>> log_name("r1/unit-0.log", "db")
    'r1/unit-0.db.log'
    """
    return f"{job_log.removesuffix('.log')}.{service}.log"


def give_logs(folder: Path, job_log: Path, services: Iterable[str]) -> None:
    """Let services write into logs beside the job's, which can be read while they write."""
    for service in services:
        log = job_log.with_name(log_name(job_log.name, service))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        with contextlib.suppress(OSError):  # Work and logs on two disks: it stays in the work.
            os.link(log, folder / f"{service}.log")


def died(folder: Path, services: Iterable[str]) -> str:
    """Say which service failed while the job ran; empty: none."""
    for service in services:
        code = read_note(folder / f"{service}.exit").strip()
        if code.isdigit() and code not in _ENDED_BY_US:
            return f"the service {service} ended with exit code {code} while the job ran"
    return ""
