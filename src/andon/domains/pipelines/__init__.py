"""From a commit to artifacts and Evidence."""
