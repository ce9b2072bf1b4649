"""Where things lie in the state folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from andon.adapters.process.files import safe_name


@lru_cache(maxsize=256)
def _below(folder: Path, name: str) -> Path:
    """Return a path that is asked for again and again: to join one takes long."""
    return folder / name


class Layout:
    """Paths below one state folder, as the control plane and the agent agree on them."""

    def __init__(self, state: Path) -> None:
        self.state = state.absolute()
        self.agent = self.state / "agent"
        self.jobs = self.agent / "jobs"
        self.replicas = self.agent / "replicas"
        self.logs = self.state / "logs"
        self.work = self.state / "work"

    def make(self) -> None:
        """Create the folders; the agent's own are for its user only."""
        for folder in (self.state, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.agent, self.jobs, self.replicas):
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def socket(self) -> Path:
        """Where the agent listens."""
        return self.agent / "agent.sock"

    @property
    def control(self) -> Path:
        """Where the control plane listens."""
        return self.state / "control.sock"

    @property
    def containers(self) -> Path:
        """What is written down of jobs in containers."""
        return self.agent / "containers"

    def work_tree(self, key: str) -> Path:
        """Return a job's work tree, which the control plane fills."""
        return _below(self.work, key.replace("/", "_"))

    def temporary(self, key: str) -> Path:
        """Return a job's folder for temporary files, and for its home."""
        return _below(self.work, f"{key.replace('/', '_')}.tmp")

    def log(self, name: str) -> Path:
        """Return a log by its name."""
        return _below(self.logs, name)

    def artifact(self, digest: str) -> Path:
        """Return an artifact's unpacked folder."""
        return self.state / "artifacts" / digest.removeprefix("sha256:")

    def artifact_complete(self, digest: str) -> bool:
        """Say whether an artifact was unpacked to its end."""
        return self.artifact(digest).with_name(f"{self.artifact(digest).name}.complete").exists()

    def job_log(self, run: str, job: str, key: str) -> str:
        """Return the name of a job's log, relative to the logs folder."""
        attempt = key.rpartition("/")[2]
        return f"{safe_name(run)}/{safe_name(job)}-{safe_name(attempt)}.log"

    def replica_log(self, environment: str, service: str, version: str, index: int) -> str:
        """Return the name of a replica's log, relative to the logs folder."""
        return f"services/{environment}.{service}.{version}.{index}.log"
