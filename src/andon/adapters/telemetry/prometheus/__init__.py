"""Metrics of any server that speaks the Prometheus HTTP API."""
