"""A job while it is being put together from another engine's."""

from __future__ import annotations

import re
from typing import Any

from andon.api.foreign import Node
from andon.api.v1.pipelines import Scalar
from andon.domains.pipelines.foreign.carrying import Carrying, Document, as_name, without_empty
from andon.domains.pipelines.foreign.shell import refusing
from andon.kernel.patterns import problem as pattern_problem

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MOST_TIMEOUT_SECONDS = 86_400
_PORTS = {
    "postgres": 5432, "postgis": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379, "valkey": 6379,
    "mongo": 27017, "rabbitmq": 5672, "memcached": 11211, "elasticsearch": 9200, "nats": 4222,
    "minio": 9000, "nginx": 80, "httpd": 80,
}  # fmt: skip
_NO_PORT = "without a port nobody knows when the service is ready"
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}")


class Draft:
    """What is known of a job so far.

    Args:
        name: What it is called.
        carrying: The account.
        axes: Its matrix: values by name; None where only some combinations have one.
    """

    def __init__(self, name: str, carrying: Carrying) -> None:
        self.name = name
        self.carrying = carrying
        self.axes: dict[str, list[Scalar] | None] = {}
        self.env: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.caches: list[Document] = []
        self.paths: list[str] = []
        self.keep_days: float | None = None
        self.services: Document = {}
        self.steps: list[Document] = []
        self.comments: list[str] = []
        self.head: Document = {}
        """Fields that stand before what runs."""
        self.tail: Document = {}
        """Fields that stand after it."""
        self.runs = True
        """Whether it runs anything; an approval does not."""
        self.refused = ""
        """Why the job must not run as it is."""

    def refuse(self, why: str) -> None:
        """Keep the job from running until a person has looked: better not run than run wrongly."""
        self.refused = self.refused or why

    def secret(self, node: Node, variable: str, word: str) -> bool:
        """Give the job a secret; False: its variable is another one already."""
        name = as_name(word, otherwise="secret")
        if self.secrets.get(variable, name) != name:
            return False
        self.secrets[variable] = name
        self.env.pop(variable, None)
        instead = f"andon secret set --pipelines {name}"
        self.carrying.differs(
            node, "values of secrets are not in the file; all of the job sees it", instead
        )
        return True

    def artifact(self, node: Node, pattern: str) -> None:
        """Keep files for the jobs that need this one."""
        if wrong := refuses_path(pattern):
            self.carrying.lost(node, f"the path {wrong}", "name paths below the work tree")
        else:
            self.carrying.take(node)
            self.paths.append(pattern)

    def cache(self, entry: Document) -> None:
        """Keep folders between Runs."""
        taken = [one["name"] for one in self.caches]
        self.caches.append({**entry, "name": as_name(str(entry["name"]), taken, "cache")})

    def document(self) -> Document:
        """Return the job as it stands in a Pipeline."""
        condition = {"if": "false"} if self.refused else {}
        body: dict[str, Any] = self.head | condition
        self.steps = [one for one in self.steps if one.get("run", "").strip()]
        if self.runs and not self.steps:
            self.steps.append({"run": refusing(f"{self.name}: there was nothing to run")})
        only = self.steps[0] if len(self.steps) == 1 else {}
        if set(only) == {"run"}:
            body["run"] = only["run"]
        elif self.steps:
            body["steps"] = self.steps
        kept = {"paths": self.paths, "keepDays": self.keep_days} if self.paths else {}
        tail = {
            "env": self.env,
            "secrets": self.secrets,
            "services": self.services,
            "caches": self.caches,
            "artifacts": without_empty(kept),
        }
        reach = {"network": True} if self.runs else {}
        return without_empty(body | reach | tail | self.tail)


def refuses_path(pattern: str) -> str:
    """Say why a path cannot be one of a job's."""
    if pattern.startswith(("~", "$")) or "$" in pattern:
        return "is outside of the work tree or holds a variable"
    if re.search(r"[?\[\]{}!]", pattern):
        return "holds a pattern other than `*` and `**`"
    if not pattern or len(pattern) > 300:
        return "is empty or too long"
    return pattern_problem(pattern)


def of_pattern(pattern: str) -> str:
    """Write a pattern of paths as Andon's.

    >>> of_pattern("./a/**.js"), of_pattern("docs/**"), of_pattern("out/")
    ('a/**/*.js', 'docs/**', 'out/')
    """
    return re.sub(r"(^|/)\*\*(?=[^/*])", r"\1**/*", pattern.removeprefix("./"))


def timeout(draft: Draft, node: Node, seconds: float) -> None:
    """Set the job's timeout."""
    if 0 < seconds <= MOST_TIMEOUT_SECONDS:
        draft.carrying.take(node)
        draft.head["timeoutSeconds"] = int(seconds) if seconds == int(seconds) else seconds
    else:
        draft.carrying.lost(node, "a job may take a day at most", "timeoutSeconds: 86400")


def image(draft: Draft, node: Node, text: str) -> None:
    """Set the container that the job runs in."""
    draft.head["image"] = text
    if _PINNED.search(text):
        draft.carrying.take(node)
    else:
        why = "a tag may be another image tomorrow"
        draft.carrying.differs(node, why, f"write the digest: {text.split('@')[0]}@sha256:…")


def service(
    draft: Draft, node: Node, name: str, said: str, port: int | None, env: dict[str, str]
) -> None:
    """Add a container beside the job; its port is a well-known one if none was said."""
    known = said.split("@")[0].rsplit("/", 1)[-1].split(":")[0]
    port = port or _PORTS.get(known)
    if port is None:
        draft.carrying.lost(node, _NO_PORT, "add it with its `port`")
        draft.refuse(f"the service {name} has no port")
        return
    word = as_name(name, draft.services, "service")
    found = word.upper().replace("-", "_")
    draft.carrying.differs(
        node,
        f"the job finds it at ${found}_HOST and ${found}_PORT; a tag may be another image tomorrow",
        "write the digest, and use the two variables",
    )
    draft.services[word] = without_empty({"image": said, "port": port, "env": env})
