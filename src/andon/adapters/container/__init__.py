"""Jobs in containers, through the HTTP API that Docker and podman share."""

from andon.adapters.container.choosing import ByImage
from andon.adapters.container.engine import Engine, find_socket
from andon.adapters.container.runner import ContainerRunner

__all__ = ["ByImage", "ContainerRunner", "Engine", "find_socket"]
