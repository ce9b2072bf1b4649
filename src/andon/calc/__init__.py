"""Pure numbers that several domains share."""
