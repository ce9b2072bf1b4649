"""``andon/v1``: definitions people write, records controllers write, actions ports perform."""
