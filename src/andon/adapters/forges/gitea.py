"""Gitea, and Forgejo, which speaks the same.

Source: Gitea's documentation, "Webhooks", and its API's ``POST /repos/{owner}/{repo}/statuses/{sha}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from msgspec.structs import replace

from andon.adapters.forges.github import status_body
from andon.adapters.forges.reading import Proposal, Push, api_address, hmac_hex, parse, plain, same
from andon.api.v1.forges import HookSpec
from andon.ports.hooks import Call, CommitStatus, Passed, Proposed, Signed, Told

LONGEST_DESCRIPTION = 255


class Gitea:
    """Signs the body; neither the delivery's id nor its time is covered."""

    def signed(self, secret: str, headers: Mapping[str, str], body: bytes) -> Signed | None:
        """Check ``X-Gitea-Signature``."""
        given = headers.get("x-gitea-signature", "")
        return Signed(content=body) if same(given, hmac_hex(secret, body)) else None

    def read(self, headers: Mapping[str, str], body: bytes) -> Told:
        """Read ``push`` and ``pull_request``."""
        match headers.get("x-gitea-event", ""):
            case "push":
                told: Told = parse(headers, body, Push).told()
            case "pull_request" | "pull_request_sync":
                told = parse(headers, body, Proposal).told()
            case other:
                return Passed(reason=f"nothing is done about {plain(other) or 'no event'}")
        # The time of the last push to a repository is not always there yet when it is told.
        return told if isinstance(told, Passed | Proposed) else replace(told, sent_at=0.0)

    def status_call(self, hook: HookSpec, token: str, sha: str, status: CommitStatus) -> Call:
        """Create a commit status."""
        base = api_address(hook.api, "/api/v1")
        return Call(
            url=f"{base}/repos/{quote(hook.project, safe='/')}/statuses/{sha}",
            headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
            body=status_body(status, LONGEST_DESCRIPTION),
        )

    def knows_already(self, code: int, answer: bytes) -> bool:
        """Saying a status twice is no failure here."""
        return False
