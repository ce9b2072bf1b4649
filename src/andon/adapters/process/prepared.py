"""What a job's shell is given before it starts: its text, and what it is told of its services."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from andon.adapters.process import beside, script
from andon.api.v1.jobs import JobPlan


class Prepared(Struct, frozen=True, kw_only=True):
    """A job's text for ``sh -euc``, further environment variables, and the ports of its services."""

    text: str
    env: dict[str, str] = {}
    ports: dict[str, int] = {}


def prepare(
    job: JobPlan,
    key: str,
    *,
    temporary: Path,
    log: Path,
    taken: Collection[int] = (),
    own_network: bool = False,
) -> Prepared:
    """Prepare a job.

    Args:
        job: The job.
        key: Its key.
        temporary: The folder it knows as ``$TMPDIR``.
        log: Its log.
        taken: Ports of the services of other jobs that run.
        own_network: Whether nobody else listens in the job's network.

    Raises:
        StepFailed: It cannot be run as it is written.
        Unavailable: No port is free, or the disk is full.
    """
    if script.is_plain(job):
        return Prepared(text=script.text(job, {}, own_logs=False))
    ports = beside.choose_ports(job.services, key, taken, own_network=own_network)
    own_logs = not job.secrets  # Else they print into the job's log, which is masked.
    text = script.text(job, ports, own_logs=own_logs)
    folder = temporary / script.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    if own_logs:
        beside.give_logs(folder, log, list(ports))
    return Prepared(text=text, env=beside.told(ports), ports=ports)


def step_names(job: JobPlan) -> tuple[str, ...]:
    """Return what the steps of a job are called."""
    return tuple(script.step_name(number, step) for number, step in script.numbered(job.steps))
