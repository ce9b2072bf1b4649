"""REST, event stream and the page."""
