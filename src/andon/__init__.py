"""Andon carries a change to production and back, and stops the line when evidence says so."""
