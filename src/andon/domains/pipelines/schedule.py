"""Builds a repository's newest commit again whenever its schedule says so.

A time is dealt with once: the Run it leads to and the note that it is dealt with are one decision, and
the Run is named after the time. What could not be done in time is left out or made up for by one Run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec.structs import replace

from andon.api.v1.control import Decision, Event, Link, NewObject, Selector, View
from andon.api.v1.jobs import BuildPlan
from andon.api.v1.pipelines import ScheduleEntry
from andon.api.v1.records import ChangeSpec, Object, RunSpec, RunStatus
from andon.api.v1.schedules import EntryStatus, ScheduleSpec, ScheduleStatus
from andon.calc.cron import last_time, next_time
from andon.domains.line import events
from andon.kernel.cron import time_zone

LATE_SECONDS = 60.0
"""A time is not missed while it is no older than this: nobody is on the dot."""
RECENT_CHANGES = 20
BuildPlanner = Callable[[ChangeSpec], BuildPlan]


class ScheduleController:
    """Reconciles Schedules.

    Args:
        plan_build: Plans a build Run.
    """

    kind = "Schedule"

    def __init__(self, plan_build: BuildPlanner) -> None:
        self._plan_build = plan_build

    def select(self, obj: Object) -> dict[str, Selector]:
        """See the repository's newest Changes."""
        labels = {"repository": obj.labels["repository"]}
        return {"changes": Selector(kind="Change", labels=labels, newest=RECENT_CHANGES)}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Care about the time only."""
        return ()

    def reconcile(self, view: View, now: float) -> Decision:
        """Make the Runs whose time has come."""
        return _Schedule(view, now, self._plan_build).decide()


class _Schedule:
    def __init__(self, view: View, now: float, plan_build: BuildPlanner) -> None:
        self.now = now
        self.plan_build = plan_build
        self.name = view.object.name
        self.spec: ScheduleSpec = view.object.spec
        self.status: ScheduleStatus = view.object.status
        changes = view.related.get("changes", ())
        mine = [one for one in changes if one.spec.repository == self.spec.repository]
        self.newest = mine[-1] if mine else None
        self.create: list[NewObject] = []
        self.events: list[Event] = []

    def decide(self) -> Decision:
        entries = {entry_key(entry): self._advance(entry) for entry in self.spec.entries}
        status = ScheduleStatus(entries=entries)
        return Decision(
            status=status if status != self.status else None,
            create=tuple(self.create),
            events=tuple(self.events),
            wake=min((entry.next_at for entry in entries.values()), default=None),
        )

    def _advance(self, entry: ScheduleEntry) -> EntryStatus:
        known = self.status.entries.get(entry_key(entry)) or EntryStatus(since=self.now)
        due = last_time(entry.cron, entry.timezone, self.now, known.since)
        if due is not None:
            known = self._deal_with(entry, known, due)
        upcoming = next_time(entry.cron, entry.timezone, known.since)
        return replace(known, next_at=upcoming)

    def _deal_with(self, entry: ScheduleEntry, known: EntryStatus, due: float) -> EntryStatus:
        """Make the Run of the last time that has come; earlier ones are made up for by it, or left."""
        known = replace(known, since=due)
        if self.newest is None:
            return known
        if entry.missed == "skip" and self.now - due > LATE_SECONDS:
            self.events.append(self._missed(entry, due))
            return replace(known, missed=known.missed + 1)
        run = run_name(self.name, due)
        self.create.append(self._run(run, self.newest))
        self.events.append(self._queued(run, entry, due, self.newest))
        return replace(known, last_at=due, last_run=run)

    def _run(self, name: str, change: Object) -> NewObject:
        plan = unattended(self.plan_build(replace(change.spec, event="schedule")))
        return NewObject(
            kind="Run",
            name=name,
            spec=RunSpec(
                type="build",
                change=change.name,
                build=plan,
                sequence=change.spec.sequence,
                schedule=self.name,
            ),
            status=RunStatus(),
            labels={"type": "build", "schedule": self.name, **plan.labels},
        )

    def _queued(self, run: str, entry: ScheduleEntry, due: float, change: Object) -> Event:
        return events.run_event(
            run,
            "queued",
            events.repository_stream(self.spec.repository),
            change.name,
            content={"pipelineName": self.spec.pipeline, "uri": f"urn:andon:run:{run}"},
            links=(Link(target=events.merged_id(change.name)),),
            data={"schedule": self.name, "entry": entry_key(entry), "at": due},
        )

    def _missed(self, entry: ScheduleEntry, due: float) -> Event:
        return events.extension(
            "schedule",
            "missed",
            id=f"schedule/{self.name}/missed/{entry_key(entry)}/{_stamp(due)}",
            stream=events.repository_stream(self.spec.repository),
            about=self.name,
            content={"entry": entry_key(entry), "at": _local(due, entry.timezone)},
        )


def unattended(plan: BuildPlan) -> BuildPlan:
    """Skip the jobs that wait for people: nobody is asked for what nobody asked for.

    Args:
        plan: What a Change's own Run would do.
    """
    rule = "a schedule asks nobody for consent"
    jobs = (replace(job, skip=job.skip or rule) if job.approval else job for job in plan.jobs)
    return replace(plan, jobs=tuple(jobs))


def entry_key(entry: ScheduleEntry) -> str:
    """Name an entry by what it says.

    >>> entry_key(ScheduleEntry(cron="0  3 * * *", timezone="Europe/Berlin"))
    '0 3 * * * Europe/Berlin'
    """
    return f"{' '.join(entry.cron.split())} {entry.timezone}"


def run_name(schedule: str, moment: float) -> str:
    """Name the Run of a time; two entries that name the same minute share it.

    >>> run_name("shop", 1_774_746_000.0)
    'scheduled-shop-20260329t0100z'
    """
    return f"scheduled-{schedule}-{_stamp(moment)}"


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dt%H%Mz")


def _local(moment: float, zone: str) -> str:
    return datetime.fromtimestamp(moment, time_zone(zone)).isoformat(timespec="minutes")
