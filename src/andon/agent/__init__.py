"""The host agent: owns processes, jobs, the gateway and their counters, and outlives the control plane."""
