"""What other engines say, in Andon's words; and what could not be said in them."""
