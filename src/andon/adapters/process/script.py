"""A job as one shell text: its services are started and awaited, then its steps run in order.

One shell runs all of it, so that nothing but `sh` is needed wherever the job runs. It notes in
``$TMPDIR/andon`` what the executor reads afterwards: ``steps`` (how each ended), ``said`` (why it ended
the job by itself), ``<service>.exit`` (with what a service ended). Steps fold in the log between the marks
that terminals and GitLab's log pages know (see docs/builds.md).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from andon.api.v1.jobs import BesidePlan, JobPlan, StepPlan
from andon.kernel.errors import StepFailed

FOLDER = "andon"
"""Below ``$TMPDIR``."""
_LONGEST_BYTES = 128 * 1024 - 1  # MAX_ARG_STRLEN of Linux, its last byte is 0.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_BEGIN = r"""
andon_folder=$TMPDIR/andon
mkdir -p "$andon_folder"
andon_tick() {
  read -r andon_up andon_idle </proc/uptime
  andon_ticks=$((${andon_up%.*} * 100 + 1${andon_up#*.} - 100))
}
andon_fail() {
  printf '%s\n' "$1" >"$andon_folder/said"
  printf 'andon: %s\n' "$1" >&2
  exit 1
}
"""

_BESIDE = r"""
andon_listening() {
  for andon_table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$andon_table" ] || continue
    while read -r andon_row andon_local andon_remote andon_state andon_rest; do
      case $andon_local.$andon_state in *:$1.0A) return 0 ;; esac
    done <"$andon_table"
  done
  return 1
}
andon_get() {
  if command -v curl; then
    curl -fsS -o /dev/null --max-time 5 "http://127.0.0.1:$1$2"
  elif command -v python3; then
    python3 -c 'import http.client, sys
asked = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
asked.request("GET", sys.argv[2])
sys.exit(not 200 <= asked.getresponse().status < 400)' "$1" "$2"
  elif command -v wget; then
    wget -q -T 5 -O /dev/null "http://127.0.0.1:$1$2"
  else
    andon_fail "asking a service for a path needs curl, python3 or wget; ask for its port instead"
  fi
} >/dev/null 2>&1
andon_give_up() {
  if [ -s "$andon_folder/$1.log" ]; then tail -n 20 "$andon_folder/$1.log" >&2; fi
  andon_fail "$2"
}
andon_await() {
  andon_tick
  andon_until=$((andon_ticks + $3))
  until "$2"; do
    if [ -s "$andon_folder/$1.exit" ]; then
      read -r andon_code <"$andon_folder/$1.exit"
      if [ "$andon_code" != 0 ]; then
        andon_give_up "$1" "the service $1 ended with exit code $andon_code before it was ready"
      fi
    fi
    andon_tick
    if [ "$andon_ticks" -ge "$andon_until" ]; then
      andon_give_up "$1" "the service $1 was not ready within $4 s"
    fi
    sleep 0.05
  done
}
"""

_STEPS = r"""
export ANDON_ENV="$andon_folder/env"
: >"$ANDON_ENV"
exec 9>"$andon_folder/steps"
andon_epoch=$(date +%s)
andon_tick
andon_first=$andon_ticks
andon_env() {
  while IFS= read -r andon_line || [ -n "$andon_line" ]; do
    case $andon_line in
      '') continue ;;
      *=*) andon_name=${andon_line%%=*} ;;
      *) andon_name= ;;
    esac
    case $andon_name in
      '' | [0-9]* | *[!A-Za-z0-9_]*)
        andon_fail "\$ANDON_ENV has a line that is not NAME=VALUE: $andon_line" ;;
    esac
    export "$andon_name=${andon_line#*=}"
  done <"$ANDON_ENV"
}
andon_step_begins() {
  andon_tick
  andon_began=$andon_ticks
  printf '\033[0Ksection_start:%s:step_%s\r\033[0K%s\n' \
    "$((andon_epoch + (andon_ticks - andon_first) / 100))" "$1" "$2"
  printf '%s\n' "$1" >&9
}
andon_step_ended() {
  andon_tick
  printf '\033[0Ksection_end:%s:step_%s\r\033[0K\n' \
    "$((andon_epoch + (andon_ticks - andon_first) / 100))" "$1"
  printf '%s %s %s\n' "$1" "$2" "$((andon_ticks - andon_began))" >&9
  if [ "$2" != 0 ]; then exit "$2"; fi
}
"""


def is_plain(job: JobPlan) -> bool:
    """Say whether a job is its shell text and nothing else."""
    return not job.steps and not job.services


def text(job: JobPlan, ports: Mapping[str, int], *, own_logs: bool) -> str:
    """Return a job as one shell text, to be run by ``sh -euc``.

    Args:
        job: The job.
        ports: Of its services, by name.
        own_logs: Whether services have logs of their own; else they print into the job's.

    Raises:
        StepFailed: It cannot be said to a shell.
    """
    if is_plain(job):
        return _short_enough(job, job.run)
    parts = [_BEGIN]
    if job.services:
        parts += [_BESIDE, *_services(job, ports, own_logs)]
    if job.steps:
        parts += [_STEPS, *(_step(number, step) for number, step in numbered(job.steps))]
    else:
        parts.append(f"exec sh -euc {shlex.quote(job.run)}\n")
    for piece in (job.run, *(step.run for step in job.steps)):
        _short_enough(job, piece)
    return _short_enough(job, "".join(parts))


def numbered(steps: Iterable[StepPlan]) -> Iterable[tuple[int, StepPlan]]:
    """Number steps as the log does."""
    return enumerate(steps, 1)


def step_name(number: int, step: StepPlan) -> str:
    """Return what a step is called: by itself, or by its number."""
    return " ".join(step.name.split()) or str(number)


def _short_enough(job: JobPlan, shell: str) -> str:
    if "\0" in shell:
        raise StepFailed(f"the shell text of job {job.name} contains a null byte")
    if len(shell.encode()) > _LONGEST_BYTES:
        raise StepFailed(
            f"job {job.name} has {len(shell.encode())} bytes of shell text, more than {_LONGEST_BYTES}",
            hint="put it into a file of the repository and run that",
        )
    return shell


def _step(number: int, step: StepPlan) -> str:
    return (
        f"andon_step_begins {number} {shlex.quote(step_name(number, step))}\n"
        f"( andon_env && {_exports(step.env)}exec sh -euc {shlex.quote(step.run)} ) 9>&- "
        f"&& andon_code=0 || andon_code=$?\n"
        f"andon_step_ended {number} $andon_code\n"
    )


def _services(job: JobPlan, ports: Mapping[str, int], own_logs: bool) -> Iterable[str]:
    for service in job.services:
        yield _started(job, service, ports[service.name], own_logs)
    for number, service in enumerate(job.services, 1):
        yield _awaited(number, service, ports[service.name])


def _started(job: JobPlan, service: BesidePlan, port: int, own_logs: bool) -> str:
    own = _exports({**service.env, "PORT": str(port)})
    hidden = "".join(f"unset {_checked(name)} && " for name in job.secrets)
    log = f'>>"$andon_folder/{service.name}.log" 2>&1' if own_logs else "2>&1"
    return (
        f"( ( {hidden}{own}exec sh -euc {shlex.quote(service.run)} ) && andon_code=0 || andon_code=$?\n"
        f"  printf '%s\\n' $andon_code >\"$andon_folder/{service.name}.exit\" ) {log} </dev/null &\n"
    )


def _awaited(number: int, service: BesidePlan, port: int) -> str:
    if service.ready_command:
        own = _exports({**service.env, "PORT": str(port)})
        ready = f"( {own}exec sh -euc {shlex.quote(service.ready_command)} ) >/dev/null 2>&1"
    elif service.ready_path:
        ready = f"andon_get {port} {shlex.quote(service.ready_path)}"
    else:
        ready = f"andon_listening {port:04X}"
    within = service.ready_within_seconds
    return (
        f"andon_ready_{number}() {{ {ready}; }}\n"
        f"andon_await {service.name} andon_ready_{number} {int(within * 100)} {within:g}\n"
    )


def _exports(env: Mapping[str, str]) -> str:
    return "".join(
        f"export {_checked(name)}={shlex.quote(value)} && " for name, value in env.items()
    )


def _checked(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise StepFailed(f"{name!r} is no name of an environment variable")
    return name
