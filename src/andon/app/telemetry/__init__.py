"""What is seen of running systems, and what follows from it: stores, collectors, objectives, alerts."""
