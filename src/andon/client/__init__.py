"""Andon for programs: a typed client over HTTP, of a control plane here or elsewhere."""
