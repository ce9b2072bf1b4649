"""systemd units: the agent, the control plane, and workers beside it.

Services are children of the agent and must outlive it and the control plane, so systemd may end the
main process only, and each has a unit of its own.

Source: systemd.service(5), systemd.exec(5), systemd.kill(5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

SECTIONS = ("Unit", "Service", "Install")

_HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "full",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectClock": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
}
"""What control plane and workers can do without; jobs and services are the agent's children."""


def units(
    *, python: Path, state: Path, user: str, environment_file: Path, options: Sequence[str] = ()
) -> Mapping[str, str]:
    """Write the units of an installation.

    Args:
        python: Interpreter that Andon is installed for.
        state: The state folder.
        user: Whom everything runs as.
        environment_file: Read if it is there: ``ANDON_DATABASE_URL=…`` and other secrets.
        options: More options of ``andon up``.

    Returns:
        Text by file name.
    """
    andon = f"{_quoted(str(python))} -m andon"
    where = _quoted(str(state))
    common = {"User": user, "EnvironmentFile": f"-{environment_file}"}
    kept = {"KillMode": "process", "Restart": "always", "RestartSec": "1"}
    up = " ".join(("up", "--state", where, *map(_quoted, options)))
    return {
        "andon-agent.service": _unit(
            {"Description": "Andon's host agent: services, jobs and the gateway"},
            {
                **common,
                "ExecStart": f"{_quoted(str(python))} -m andon.agent --state {where}",
                **kept,
                "Delegate": "yes",
            },
        ),
        "andon.service": _unit(
            {
                "Description": "Andon's control plane",
                "Wants": "andon-agent.service network-online.target",
                "After": "andon-agent.service network-online.target",
            },
            {**common, "ExecStart": f"{andon} {up}", **kept, **_HARDENED},
        ),
        "andon-worker@.service": _unit(
            {
                "Description": "Andon worker %i, for installations on Postgres",
                "Wants": "network-online.target",
                "After": "andon-agent.service network-online.target",
            },
            {**common, "ExecStart": f"{andon} worker --state {where}", **kept, **_HARDENED},
        ),
    }


def _unit(unit: Mapping[str, str], service: Mapping[str, str]) -> str:
    sections = (unit, {"Type": "exec", **service}, {"WantedBy": "multi-user.target"})
    return "\n".join(
        "\n".join((f"[{name}]", *(f"{key}={value}" for key, value in section.items()), ""))
        for name, section in zip(SECTIONS, sections, strict=True)
    )


def _quoted(text: str) -> str:
    """Quote a word of ExecStart; a percent sign would begin a specifier, a dollar a variable.

    >>> _quoted("/srv/my shop"), _quoted("/srv/100%")
    ('"/srv/my shop"', '/srv/100%%')
    """
    text = text.replace("%", "%%").replace("$", "$$")
    if text and not set(text) & set(" \t\"'\\;"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
