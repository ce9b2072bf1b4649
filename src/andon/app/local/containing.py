"""What jobs ask for that a local run may not have: a container engine, and workers elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.kernel.clock import Clock
from andon.kernel.errors import Unavailable

if TYPE_CHECKING:  # What few jobs need is loaded for those alone.
    from andon.adapters.container import ByImage, ContainerRunner


def expect_offered(plan: BuildPlan) -> None:
    """Refuse, before anything runs, a plan that this machine cannot carry out alone.

    Raises:
        Unavailable: A job waits for a worker elsewhere, or for a container engine that does not answer.
    """
    run = [job for job in plan.jobs if not job.skip]
    for job in run:
        if job.runs_on:
            raise Unavailable(
                f"job {job.name} runs on a worker with {', '.join(job.runs_on)}, and `andon run` has none",
                hint=f"`andon ship` builds it where workers are; {_others(run)}",
            )
    contained = next((job for job in run if job.image), None)
    if contained is not None:
        _expect_engine(contained, _others(run))


def _expect_engine(job: JobPlan, otherwise: str) -> None:
    from andon.adapters.container import Engine, find_socket

    socket = find_socket(os.environ)
    if not Engine(socket).ping():
        raise Unavailable(
            f"job {job.name} runs in the image {job.image}, and no container engine answers at {socket}",
            hint=f"systemctl start docker, or podman system service; {otherwise}",
        )


def _others(jobs: list[JobPlan]) -> str:
    """Say how to run what needs neither."""
    asking = {job.name for job in jobs if job.runs_on or job.image}
    free = [job for job in jobs if job.name not in asking and asking.isdisjoint(job.needs)]
    if not free:
        return "`andon doctor` says what this machine has"
    return f"`andon run {free[0].name}` runs what needs neither"


class WithContainers:
    """Runs jobs that name an image in containers; what that takes is loaded once there is one.

    Args:
        plain: Runs all others.
        layout: The state folder.
        clock: For deadlines.
    """

    def __init__(self, plain: JobRunner, layout: Layout, clock: Clock) -> None:
        self._plain = plain
        self._layout = layout
        self._clock = clock

    async def run_job(self, action: RunJob, intent: Intent, secrets: Mapping[str, str]) -> JobDone:
        """Run a job to its end."""
        chosen = self._by_image if action.job.image else self._plain
        return await chosen.run_job(action, intent, secrets)

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job wherever it is."""
        chosen = self._by_image if self._were_there else self._plain
        return await chosen.cancel_job(action, intent)

    def knows(self, key: str) -> bool:
        """Say whether a job was seen: it runs or ended."""
        return self._plain.knows(key) or (self._were_there and self._contained.knows(key))

    async def close(self) -> None:
        """Interrupt every running job."""
        if "_contained" in self.__dict__:
            await self._contained.close()
        await self._plain.close()

    @property
    def _were_there(self) -> bool:
        return self._layout.containers.is_dir()

    @cached_property
    def _by_image(self) -> ByImage:
        from andon.adapters.container import ByImage

        return ByImage(self._plain, self._contained)

    @cached_property
    def _contained(self) -> ContainerRunner:
        from andon.adapters.container import ContainerRunner, Engine, find_socket

        return ContainerRunner(self._layout, self._clock, Engine(find_socket(os.environ)))
