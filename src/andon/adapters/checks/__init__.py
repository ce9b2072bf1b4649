"""Asks running systems what a Check says: over HTTP, TCP, TLS, DNS, or with a browser."""

from andon.adapters.checks.asking import Place, ask

__all__ = ["Place", "ask"]
