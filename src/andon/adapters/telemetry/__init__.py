"""What is seen of running systems: stores, and who fills them."""
