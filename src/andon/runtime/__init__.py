"""Makes pure controllers durable: one transaction a turn, intents performed after it, outcomes committed."""
