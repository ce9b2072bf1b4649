"""Schedules: what is built again by the clock, and how far it has come."""

from andon.api.v1.pipelines import ScheduleEntry
from andon.api.v1.words import Record


class ScheduleSpec(Record, kw_only=True, frozen=True):
    """When a repository's newest commit is built again, as its policy branch says."""

    repository: str
    pipeline: str
    entries: tuple[ScheduleEntry, ...] = ()


class EntryStatus(Record, kw_only=True, frozen=True):
    """How far an entry has come."""

    since: float
    """All times up to this one are dealt with."""
    next_at: float = 0
    last_at: float = 0
    """The last time at which a Run was made; 0: never."""
    last_run: str = ""
    missed: int = 0
    """How often times were left out because nobody was there."""


class ScheduleStatus(Record, kw_only=True, frozen=True):
    """Where each entry stands, by its expression and zone."""

    entries: dict[str, EntryStatus] = {}
