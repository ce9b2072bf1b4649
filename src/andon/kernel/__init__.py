"""Values every room may use: errors, identities, digests, durations, decisions. Standard library only."""
