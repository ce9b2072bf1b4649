"""Events to AMQP 0.9.1: RabbitMQ and its kin."""

from andon.adapters.amqp.sink import AmqpSink

__all__ = ["AmqpSink"]
