"""The embedded target: prepares folders on this machine and hands the rest to its agent."""

from andon.adapters.local.executor import LocalExecutor
from andon.adapters.local.target import LocalTarget

__all__ = ["LocalExecutor", "LocalTarget"]
