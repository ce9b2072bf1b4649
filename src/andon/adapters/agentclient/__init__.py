"""The control plane's end of the line to the host agent."""

from andon.adapters.agentclient.client import AgentClient
from andon.adapters.agentclient.daemon import ensure_agent

__all__ = ["AgentClient", "ensure_agent"]
