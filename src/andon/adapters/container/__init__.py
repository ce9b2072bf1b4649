"""Jobs in containers, through the HTTP API that Docker and podman share."""

from andon.adapters.container.engine import Engine
from andon.adapters.container.runner import ContainerRunner

__all__ = ["ContainerRunner", "Engine"]
