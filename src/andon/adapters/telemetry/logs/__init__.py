"""Log lines, kept in SQLite."""

from andon.adapters.telemetry.logs.store import SqliteLogStore

__all__ = ["SqliteLogStore"]
