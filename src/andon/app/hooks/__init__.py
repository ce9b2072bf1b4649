"""Forges' hooks in; statuses and notices out."""
