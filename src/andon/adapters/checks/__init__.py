"""Asks running systems what a Check says: over HTTP, TCP, TLS, DNS, or with a browser."""

from andon.adapters.checks.asking import ask
from andon.adapters.checks.place import Place

__all__ = ["Place", "ask"]
