"""A worker on another machine: takes jobs over HTTPS, runs them as the agent does, and answers."""
