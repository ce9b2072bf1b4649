"""Git: where changes come from, and where the desired state is written."""

from andon.adapters.git.desired import DesiredCommit, GitDesiredState
from andon.adapters.git.source import GitSource, dirty

__all__ = ["DesiredCommit", "GitDesiredState", "GitSource", "dirty"]
