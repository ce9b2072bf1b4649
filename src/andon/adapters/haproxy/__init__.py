"""The embedded data plane: HAProxy, driven at run time, counted twice."""

from andon.adapters.haproxy.binary import HAProxyBinary, find_haproxy
from andon.adapters.haproxy.gateway import HAProxyGateway

__all__ = ["HAProxyBinary", "HAProxyGateway", "find_haproxy"]
