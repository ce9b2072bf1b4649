"""What people see of builds: Runs, logs, badges, and how fast the feedback is."""
