"""Transaction, queue, leases, dispatch and replay: what makes pure controllers durable."""
