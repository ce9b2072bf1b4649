"""Sealing of small values: a key of its own for each, sealed by the installation's key."""

from andon.adapters.sealing.envelope import Envelopes
from andon.adapters.sealing.keys import Key, KeySource, key_source, parse_key

__all__ = ["Envelopes", "Key", "KeySource", "key_source", "parse_key"]
