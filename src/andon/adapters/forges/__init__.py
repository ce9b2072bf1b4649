"""Forges: who signed a message, what it says, and how a commit's status is reported."""

from collections.abc import Mapping

from andon.adapters.forges.gitea import Gitea
from andon.adapters.forges.github import GitHub
from andon.adapters.forges.gitlab import GitLab
from andon.ports.hooks import Forge

FORGES: Mapping[str, Forge] = {"github": GitHub(), "gitlab": GitLab(), "gitea": Gitea()}

__all__ = ["FORGES", "GitHub", "GitLab", "Gitea"]
