"""A forge as tests need it: it signs what it sends, and takes statuses over its API."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from andon.adapters.eventwebhook import signature

PROJECT = "team/shop"
FORK = "stranger/shop"
PERSON = {"login": "ann", "username": "ann", "name": "Ann", "email": "Ann@example.com"}

Headers = dict[str, str]


class Sent(Struct, frozen=True):
    """A message as it goes over the wire."""

    headers: Headers
    body: bytes


def push(forge: str, secret: str, branch: str = "main", **more: Any) -> Sent:
    """Say that a branch was pushed.

    Args:
        forge: Its kind.
        secret: What it signs with.
        branch: Which.
        more: Further fields of the message.
    """
    message = {"ref": f"refs/heads/{branch}", "after": "a" * 40, "commits": [], **more}
    if forge == "gitlab":
        message |= {
            "object_kind": "push",
            "user_username": PERSON["login"],
            "user_email": PERSON["email"],
            "project": {"path_with_namespace": PROJECT},
        }
        return send(forge, secret, "Push Hook", message | more)
    whole = {
        "repository": {"full_name": PROJECT, "clone_url": "https://forge.example/team/shop.git"},
        "pusher": PERSON,
        "sender": PERSON,
        **message,
    }
    return send(forge, secret, "push", whole)


def proposal(
    forge: str, secret: str, branch: str = "topic", *, fork: bool = False, action: str = "opened"
) -> Sent:
    """Say that a branch is proposed for merging."""
    if forge == "gitlab":
        return send(forge, secret, "Merge Request Hook", _merge_request(branch, fork, action))
    name = FORK if fork else PROJECT
    head = {"full_name": name, "clone_url": f"https://forge.example/{name}.git"}
    message = {
        "action": action,
        "number": 7,
        "sender": PERSON,
        "repository": {"full_name": PROJECT},
        "pull_request": {
            "head": {"ref": branch, "sha": "b" * 40, "repo": head},
            "base": {"ref": "main", "sha": "c" * 40, "repo": {"full_name": PROJECT}},
        },
    }
    return send(forge, secret, "pull_request", message)


def _merge_request(branch: str, fork: bool, action: str) -> dict[str, Any]:
    return {
        "object_kind": "merge_request",
        "user": PERSON,
        "project": {"path_with_namespace": PROJECT},
        "object_attributes": {
            "iid": 7,
            "action": {"opened": "open", "synchronize": "update"}.get(action, action),
            **({"oldrev": "d" * 40} if action == "synchronize" else {}),
            "source_branch": branch,
            "source_project_id": 2 if fork else 1,
            "target_project_id": 1,
            "last_commit": {"id": "b" * 40},
            "source": {
                "path_with_namespace": FORK if fork else PROJECT,
                "git_http_url": f"https://forge.example/{FORK if fork else PROJECT}.git",
            },
        },
    }


def send(forge: str, secret: str, event: str, message: Any) -> Sent:
    """Sign a message as a forge does."""
    return send_bytes(forge, secret, event, json.dumps(message).encode())


def send_bytes(forge: str, secret: str, event: str, body: bytes) -> Sent:
    """Sign what may be no message at all."""
    return Sent({"Content-Type": "application/json", **_SIGN[forge](secret, event, body)}, body)


def send_by_standard(
    secret: str, event: str, message: Any, *, at: float, id: str = "msg-1"
) -> Sent:
    """Sign as GitLab does with a signing token."""
    body = json.dumps(message).encode()
    headers = {
        "X-Gitlab-Event": event,
        "webhook-id": id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": signature([secret], id, str(int(at)), body),
    }
    return Sent(headers, body)


def _hmac(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


_SIGN: Mapping[str, Callable[[str, str, bytes], Headers]] = {
    "github": lambda secret, event, body: {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": "delivery-1",
        "X-Hub-Signature-256": f"sha256={_hmac(secret, body)}",
    },
    "gitea": lambda secret, event, body: {
        "X-Gitea-Event": event,
        "X-Gitea-Delivery": "delivery-1",
        "X-Gitea-Signature": _hmac(secret, body),
    },
    "gitlab": lambda secret, event, body: {
        "X-Gitlab-Event": event,
        "X-Gitlab-Event-UUID": "delivery-1",
        "X-Gitlab-Token": secret,
    },
}
