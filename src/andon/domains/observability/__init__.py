"""Metric, log, trace and check definitions, queries, retention."""
