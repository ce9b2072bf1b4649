"""A repository's Pipeline, run here and now by the engine of the server, without a server."""
