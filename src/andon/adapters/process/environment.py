"""The environment variables a process starts with: few, and none of the agent's secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from andon.api.v1.actions import RunJob

PortOf = Callable[[str, str], int]
"""Gateway port of (environment, service)."""

_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
"""Files with the authorities that this machine trusts: without them no registry behind a proxy is."""
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base() -> dict[str, str]:
    """Return what every process gets."""
    return {
        "PATH": os.environ.get("PATH", _DEFAULT_PATH),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        **{name: os.environ[name] for name in _CERTIFICATES if name in os.environ},
        "PYTHONUNBUFFERED": "1",  # Last words must be in the log when a process is killed.
    }


def addresses(environment: str, needs: Iterable[str], port_of: PortOf) -> dict[str, str]:
    """Return ``ANDON_URL_<NAME>`` for each service needed."""
    return {
        f"ANDON_URL_{name.upper().replace('-', '_')}": (
            f"http://127.0.0.1:{port_of(environment, name)}"
        )
        for name in needs
    }


def of_job(action: RunJob, root: str, port_of: PortOf) -> dict[str, str]:
    """Return what a job gets.

    Args:
        action: The job.
        root: Its folder for temporary files, as it sees it.
        port_of: Gateway ports for ``ANDON_URL_<NAME>``.
    """
    return {
        **base(),
        "CI": "true",
        "HOME": f"{root}/home",
        "TMPDIR": root,
        **addresses(action.environment, action.needs, port_of),
        **action.env,
        **action.job.env,
        "ANDON_SHA": action.sha,
        "ANDON_RUN": action.run,
        "ANDON_JOB": action.job.name,
        "ANDON_ENVIRONMENT": action.environment,
    }
