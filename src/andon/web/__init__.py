"""The control plane over HTTP: a JSON API, an event stream and a small read-only page."""
