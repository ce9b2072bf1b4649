"""Andon itself: backup, restore, moving to another database, pausing."""
