"""The embedded store of metrics: chunks of samples in a SQLite file."""
