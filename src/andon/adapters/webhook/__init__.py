"""Tells people and programs by webhook."""

from andon.adapters.webhook.notifier import WebhookNotifier

__all__ = ["WebhookNotifier"]
