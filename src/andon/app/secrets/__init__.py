"""Secrets: kept sealed, rotated by a release, opened at the last moment."""
