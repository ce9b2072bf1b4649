"""From artifacts to running versions: promotion, rollouts, rollback, drift."""
