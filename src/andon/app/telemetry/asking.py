"""Where metrics are asked for: the embedded store, or the Prometheus server that an installation names."""

from __future__ import annotations

import logging

from msgspec import Struct

from andon.adapters.outbound import Guard
from andon.adapters.telemetry.prometheus.asking import Peer
from andon.adapters.telemetry.prometheus.store import PrometheusStore
from andon.api.v1.telemetry import MetricsSpec
from andon.app.telemetry.queries import Metrics
from andon.app.telemetry.recording import Recorder
from andon.app.telemetry.remote import RemoteMetrics
from andon.kernel.clock import Clock
from andon.ports.metrics import MetricService
from andon.ports.telemetry import MetricStore

_log = logging.getLogger("andon.telemetry")


class Asked(Struct, frozen=True):
    """Who answers.

    Args:
        service: Queries of people and their tools.
        store: The same samples, for what Andon itself asks.
        recorder: Recording rules.
    """

    service: MetricService
    store: MetricStore
    recorder: Recorder


def open_asked(embedded: MetricStore, spec: MetricsSpec, guard: Guard, clock: Clock) -> Asked:
    """Open whatever the installation names.

    Args:
        embedded: What is collected here, which always stays here, too.
        spec: What the installation was told.
        guard: Where calls may lead.
        clock: The time.
    """
    if not spec.prometheus:
        recorder = Recorder(spec.rules, embedded, embedded, clock)
        return Asked(Metrics(embedded, clock, recorder), embedded, recorder)
    if spec.rules:
        _log.warning("recording rules are for %s itself to evaluate", spec.prometheus)
    peer = Peer(spec.prometheus, guard)
    store = PrometheusStore(peer)
    return Asked(RemoteMetrics(peer), store, Recorder((), store, embedded, clock))
