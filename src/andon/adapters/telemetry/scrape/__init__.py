"""Metrics of endpoints that tell them as text, and of this machine."""
