"""Objects, steps, ledger and tasks in one database."""
