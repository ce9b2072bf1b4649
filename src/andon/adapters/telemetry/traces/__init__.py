"""Spans in chunks, in an SQLite file of their own."""

from andon.adapters.telemetry.traces.store import SpanStore

__all__ = ["SpanStore"]
