"""Andon carries a change to production and back, and stops the line when evidence says so."""

__version__ = "0.1.0"
