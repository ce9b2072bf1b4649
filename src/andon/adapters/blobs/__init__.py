"""Blobs as files named by their digest."""
