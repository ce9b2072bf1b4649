"""The queue as people see it: what waits and where, limits, retention, metrics."""
