"""What Andon knows about delivery, as pure functions: no clock, no network, no files."""
