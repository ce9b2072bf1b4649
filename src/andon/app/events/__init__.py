"""Events out to subscribers, and in from other systems."""
