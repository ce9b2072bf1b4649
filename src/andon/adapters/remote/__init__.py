"""Jobs that workers on other machines run."""

from andon.adapters.remote.executor import RemoteExecutor
from andon.adapters.remote.routing import RoutedExecutor

__all__ = ["RemoteExecutor", "RoutedExecutor"]
