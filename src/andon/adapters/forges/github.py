"""GitHub.

Source: GitHub's documentation, "Validating webhook deliveries", "Webhook events and payloads" and the
REST API endpoints for commit statuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from andon.adapters.forges.reading import Proposal, Push, api_address, hmac_hex, parse, plain, same
from andon.api.v1.forges import HookSpec
from andon.kernel.digest import canonical_json
from andon.ports.hooks import Call, CommitStatus, Passed, Signed, Told

LONGEST_DESCRIPTION = 140
PREFIX = "sha256="


class GitHub:
    """Signs the body; neither the delivery's id nor its time is covered."""

    def signed(self, secret: str, headers: Mapping[str, str], body: bytes) -> Signed | None:
        """Check ``X-Hub-Signature-256``."""
        given = headers.get("x-hub-signature-256", "")
        return Signed(content=body) if same(given, PREFIX + hmac_hex(secret, body)) else None

    def read(self, headers: Mapping[str, str], body: bytes) -> Told:
        """Read ``push`` and ``pull_request``."""
        match headers.get("x-github-event", ""):
            case "push":
                return parse(headers, body, Push).told()
            case "pull_request":
                return parse(headers, body, Proposal).told()
            case "ping":
                return Passed(reason="a ping: the hook is set up")
            case other:
                return Passed(reason=f"nothing is done about {plain(other) or 'no event'}")

    def status_call(self, hook: HookSpec, token: str, sha: str, status: CommitStatus) -> Call:
        """Create a commit status."""
        base = api_address(hook.api, "")
        return Call(
            url=f"{base}/repos/{quote(hook.project, safe='/')}/statuses/{sha}",
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            },
            body=status_body(status, LONGEST_DESCRIPTION),
        )

    def knows_already(self, code: int, answer: bytes) -> bool:
        """Saying a status twice is no failure here."""
        return False


def status_body(status: CommitStatus, longest: int) -> bytes:
    """Write a status as GitHub and Gitea read it."""
    return canonical_json(
        {
            "context": "andon",
            "description": shortened(status.description, longest),
            "state": status.state,
            "target_url": status.url,
        }
    )


def shortened(text: str, longest: int) -> str:
    """Return the first line of a text, not longer than a forge takes.

    >>> shortened("waiting for Evidence: tests", 12)
    'waiting for…'
    """
    line = text.partition("\n")[0]
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
