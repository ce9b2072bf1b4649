"""The demo: one real change carried to production, a bad one stopped, on real processes."""
