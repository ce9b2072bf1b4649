"""Signatures with Ed25519 keys in files."""
