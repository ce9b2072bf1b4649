"""Processes on this host: replicas and jobs that outlive whoever started them."""
