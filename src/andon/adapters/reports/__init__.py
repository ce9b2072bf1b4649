"""Reports that jobs leave, read as data: tests, coverage, benchmarks.

A job may be a stranger's. So files are read as a stream and never followed out of the work tree, XML has
no entities, and every size has a limit; what goes beyond one is a problem that is told, not a crash.
"""

from andon.adapters.reports.reading import ReportsRead, read_reports

__all__ = ["ReportsRead", "read_reports"]
