"""A subset of PromQL by Prometheus's rules: what it does not know it refuses by name, never answers wrongly."""
