"""Events to signed webhooks."""

from andon.adapters.eventwebhook.signing import new_secret, read_secret, signature
from andon.adapters.eventwebhook.sink import WebhookSink

__all__ = ["WebhookSink", "new_secret", "read_secret", "signature"]
