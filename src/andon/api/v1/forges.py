"""What a forge tells, and what it is told."""

from typing import Literal

from andon.api.v1.words import Record


class HookSpec(Record, kw_only=True, frozen=True):
    """A forge that tells of pushes and is told how they fare.

    Args:
        forge: Whose words it speaks.
        repository: Address that is shipped.
        branches: Whose pushes are shipped; none: the policy branch.
        pull_requests: Build what is proposed from the repository itself, without shipping it.
        api: Address of the forge's API for statuses; empty: none are reported.
        project: ``owner/name`` (or number) there.
    """

    forge: Literal["github", "gitlab", "gitea"]
    repository: str
    branches: tuple[str, ...] = ()
    pull_requests: bool = True
    api: str = ""
    project: str = ""
    created_by: str = ""


class DeliverySpec(Record, kw_only=True, frozen=True):
    """A message of a forge that was acted on, so that it is not acted on again. Its name is a digest."""

    hook: str
    change: str
    at: float
