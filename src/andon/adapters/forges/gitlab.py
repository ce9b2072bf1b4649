"""GitLab.

A *secret token* is sent along with each message, in plain text: whoever reads one message has it. A
*signing token* (since 19.0) stays secret; it signs id, time and body as Standard Webhooks has it.

Source: GitLab's documentation, "Webhooks", "Webhook events" and "Commits API"; Standard Webhooks 1.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from andon.adapters.eventwebhook import read_secret, signature
from andon.adapters.forges.github import shortened
from andon.adapters.forges.reading import (
    Message,
    Person,
    api_address,
    emails,
    moment,
    parse,
    plain,
    pushed_branch,
    same,
)
from andon.api.v1.forges import HookSpec
from andon.kernel.digest import canonical_json
from andon.kernel.errors import UsageError
from andon.ports.hooks import (
    GONE,
    Call,
    CommitStatus,
    Passed,
    Proposed,
    Pushed,
    Signed,
    State,
    Told,
)

LONGEST_DESCRIPTION = 255
_STATES: Mapping[State, str] = {
    "pending": "running",
    "success": "success",
    "failure": "failed",
    "error": "canceled",
}


class Project(Message):
    """A project."""

    path_with_namespace: str
    git_http_url: str = ""


class PushHook(Message):
    """A push."""

    ref: str
    project: Project
    after: str = ""
    user_username: str = ""
    user_email: str | None = None


class Attributes(Message):
    """A merge request."""

    iid: int
    source_branch: str
    source_project_id: int | None
    target_project_id: int
    action: str = ""
    oldrev: str = ""
    updated_at: str = ""
    last_commit: dict[str, object] | None = None
    source: Project | None = None


class MergeHook(Message):
    """What happened to a merge request."""

    object_attributes: Attributes
    project: Project
    user: Person | None = None


class GitLab:
    """Sends a token along, or signs id, time and body."""

    def signed(self, secret: str, headers: Mapping[str, str], body: bytes) -> Signed | None:
        """Check ``webhook-signature`` if there is one, else ``X-Gitlab-Token``."""
        if "webhook-signature" in headers:
            return _standard(secret, headers, body)
        return Signed(content=body) if same(headers.get("x-gitlab-token", ""), secret) else None

    def read(self, headers: Mapping[str, str], body: bytes) -> Told:
        """Read ``Push Hook`` and ``Merge Request Hook``."""
        match headers.get("x-gitlab-event", ""):
            case "Push Hook":
                return _pushed(parse(headers, body, PushHook))
            case "Merge Request Hook":
                return _proposed(parse(headers, body, MergeHook))
            case other:
                return Passed(reason=f"nothing is done about {plain(other) or 'no event'}")

    def status_call(self, hook: HookSpec, token: str, sha: str, status: CommitStatus) -> Call:
        """Set a commit's pipeline status."""
        base = api_address(hook.api, "/api/v4")
        fields = {
            "description": shortened(status.description, LONGEST_DESCRIPTION),
            "name": "andon",
            "state": _STATES[status.state],
            "target_url": status.url,
        }
        return Call(
            url=f"{base}/projects/{quote(hook.project, safe='')}/statuses/{sha}",
            headers={"PRIVATE-TOKEN": token, "Content-Type": "application/json"},
            body=canonical_json(fields),
        )

    def knows_already(self, code: int, answer: bytes) -> bool:
        """Saying a state twice is refused as no transition."""
        return code == 400 and b"Cannot transition status" in answer


def _standard(secret: str, headers: Mapping[str, str], body: bytes) -> Signed | None:
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        read_secret(secret)
        expected = signature([secret], id, timestamp, body)
    except (UsageError, UnicodeEncodeError):
        return None
    given = headers["webhook-signature"].split(" ")[:10]
    matches = [same(one, expected) for one in given]
    if not any(matches) or not (timestamp.isascii() and timestamp.isdigit()):
        return None
    return Signed(content=f"{id}.".encode() + body, signed_at=float(timestamp[:12]))


def _pushed(hook: PushHook) -> Pushed | Passed:
    branch = pushed_branch(hook.ref, hook.after)
    if isinstance(branch, Passed):
        return branch
    return Pushed(
        branch=branch,
        project=plain(hook.project.path_with_namespace),
        login=plain(hook.user_username) or "nobody",
        emails=emails(Person(email=hook.user_email)),
    )


def _proposed(hook: MergeHook) -> Proposed | Passed:
    request = hook.object_attributes
    moved = request.action == "update" and request.oldrev
    if request.action not in ("open", "reopen") and not moved:
        return Passed(reason=f"{plain(request.action) or 'nothing'}: its commit is the same")
    same_project = request.source_project_id == request.target_project_id
    source = request.source.git_http_url if request.source else ""
    return Proposed(
        branch=plain(request.source_branch),
        project=plain(hook.project.path_with_namespace),
        number=request.iid,
        login=plain(hook.user.username if hook.user else "") or "nobody",
        emails=emails(hook.user),
        fork="" if same_project else plain(source) or GONE,
        sha=plain(str((request.last_commit or {}).get("id", ""))),
        sent_at=moment(request.updated_at),
    )
