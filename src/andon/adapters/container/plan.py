"""What a container is to be: pure descriptions for the engine."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from andon.adapters.container.hearing import PIPE
from andon.adapters.container.values import NAME
from andon.adapters.process import environment
from andon.adapters.process.usage import Usage
from andon.api.v1.actions import RunJob
from andon.api.v1.jobs import BesidePlan
from andon.kernel.errors import StepFailed

Json = dict[str, Any]
WORK = "/work"
TEMPORARY = "/tmp"  # noqa: S108 - the container's own
KEY = "dev.andon.key"
USED = "andon-used"
LOG = "/andon.log"
_OOM_FILES = ("memory.events", "memory/memory.oom_control")
_LONGEST_LOG = "8m"
"""Of a service, at the engine: only its end is ever told."""
_PINNED = re.compile(r"(\S+@)?sha256:[0-9a-f]{64}")

# The first shell prints into the log, or into a pipe to the masker; it reads secrets from another pipe,
# passes a signal on to everything, and notes what was used.
FIRST_SHELL = rf"""
if [ -p "$TMPDIR/{PIPE}" ]; then exec >"$TMPDIR/{PIPE}" 2>&1; rm -f "$TMPDIR/{PIPE}"
else exec >>{LOG} 2>&1; fi
if [ -p "$TMPDIR/{NAME}" ]; then . "$TMPDIR/{NAME}"; rm -f "$TMPDIR/{NAME}"; fi
trap 'kill -TERM -1' TERM
sh -euc "$1" </dev/null & child=$!
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
for file in cpu.stat memory.peak memory.events \
  cpuacct/cpuacct.usage memory/memory.max_usage_in_bytes memory/memory.oom_control; do
  if [ -r "/sys/fs/cgroup/$file" ]; then
    while read -r line; do echo "$file $line"; done <"/sys/fs/cgroup/$file"
  fi
done >"$TMPDIR/{USED}"
exit $code
"""


class Bounds(Struct, frozen=True, kw_only=True):
    """What a container may use; 0: as much as there is.

    Args:
        memory_bytes: Of all its processes.
        processes: Of them.
        cpus: Processors, such as 1.5.
    """

    memory_bytes: int = 0
    processes: int = 4096
    cpus: float = 0


def expect_pinned(image: str) -> None:
    """Refuse an image that may be another one tomorrow.

    Raises:
        StepFailed: It is not named by a digest.
    """
    if not _PINNED.fullmatch(image):
        raise StepFailed(
            f"the image {image} is not pinned: whoever moves its tag changes what runs",
            hint="name it by digest, such as registry.example/python@sha256:…; "
            "`containers: {allowTags: true}` of the installation allows tags",
        )


def container_name(key: str, state: Path, beside: str = "") -> str:
    """Name the container of an intent, for ever."""
    digest = hashlib.sha256(f"{state}\0{key}".encode()).hexdigest()[:24]
    return f"andon-{digest}{f'-{beside}' if beside else ''}"


def of_job(
    action: RunJob,
    text: str,
    *,
    key: str,
    tree: Path,
    temporary: Path,
    log: Path | None,
    env: Mapping[str, str],
    network: str,
    hosts: Sequence[str],
    bounds: Bounds,
) -> Json:
    """Describe the container of a job.

    Args:
        action: The job.
        text: Its shell text.
        key: Of its intent.
        tree: Its work tree.
        temporary: Its folder for temporary files and its home.
        log: Where it prints; None: into a pipe below ``temporary``.
        env: Further environment variables.
        network: Name of its own, or ``none``.
        hosts: Where it finds what is beside it: ``name:address``.
        bounds: What it may use.
    """
    return {
        **_common(action.job.image, key, network, bounds),
        "Entrypoint": ["/bin/sh", "-c", FIRST_SHELL, "andon", text],
        "Cmd": [],
        "WorkingDir": WORK,
        "User": f"{os.getuid()}:{os.getgid()}",
        "Env": _listed({**_told(action), **env}),
        "HostConfig": {
            **_host(network, bounds),
            "Binds": [
                f"{tree}:{WORK}",
                f"{temporary}:{TEMPORARY}",
                *([f"{log}:{LOG}"] if log else []),
            ],
            "LogConfig": {"Type": "none", "Config": {}},
            "CapDrop": ["ALL"],
            "ReadonlyRootfs": True,
            "ExtraHosts": list(hosts),
        },
    }


def of_service(service: BesidePlan, key: str, network: str, bounds: Bounds) -> Json:
    """Describe the container of a service beside a job: its image's own program, on their network alone."""
    return {
        **_common(service.image, key, network, bounds),
        "Env": _listed(service.env),
        "HostConfig": {
            **_host(network, bounds),
            "CapDrop": ["ALL"],
            # What servers need to give up being root; and no more.
            "CapAdd": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
        },
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": [service.name]}}},
    }


def _common(image: str, key: str, network: str, bounds: Bounds) -> Json:
    return {"Image": image, "Labels": {KEY: key}, "Tty": False, "OpenStdin": False}


def _host(network: str, bounds: Bounds) -> Json:
    return {
        "NetworkMode": network,
        "Memory": bounds.memory_bytes,
        "PidsLimit": bounds.processes,
        "NanoCpus": int(bounds.cpus * 1e9),
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _LONGEST_LOG}},
    }


def _told(action: RunJob) -> dict[str, str]:
    base = {name: value for name, value in environment.base().items() if name != "PATH"}
    return {
        **base,
        "CI": "true",
        "HOME": f"{TEMPORARY}/home",
        "TMPDIR": TEMPORARY,
        **action.env,
        **action.job.env,
        "ANDON_SHA": action.sha,
        "ANDON_RUN": action.run,
        "ANDON_JOB": action.job.name,
        "ANDON_ENVIRONMENT": action.environment,
    }


def _listed(env: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


def read_usage(text: str) -> Usage:
    r"""Read what the first shell noted of the control group, of either version.

    >>> read_usage("cpu.stat usage_usec 2000000\nmemory.peak 4096")
    Usage(cpu_seconds=2.0, memory_bytes=4096)
    """
    said = _numbers(text)
    return Usage(
        cpu_seconds=said.get("cpu.stat usage_usec", 0) / 1e6
        or said.get("cpuacct/cpuacct.usage", 0) / 1e9,
        memory_bytes=said.get("memory.peak", 0) or said.get("memory/memory.max_usage_in_bytes", 0),
    )


def read_oom_kills(text: str) -> int:
    r"""Read how many processes the kernel ended for memory; not every engine tells.

    >>> read_oom_kills("memory.events oom 1\nmemory.events oom_kill 2")
    2
    """
    said = _numbers(text)
    return max(said.get(f"{file} oom_kill", 0) for file in _OOM_FILES)


def _numbers(text: str) -> dict[str, int]:
    """Return numbers by what was said of each before it."""
    pairs = (line.rpartition(" ")[::2] for line in text.splitlines())
    return {name: int(value) for name, value in pairs if value.isdigit()}
