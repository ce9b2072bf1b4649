"""Events to NATS JetStream."""

from andon.adapters.nats.sink import NatsSink

__all__ = ["NatsSink"]
