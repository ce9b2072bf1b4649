"""Who may do what, and what is one's own."""
