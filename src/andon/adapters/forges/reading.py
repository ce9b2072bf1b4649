"""What the messages of all forges have in common."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec
from msgspec import Struct

from andon.kernel.errors import InvalidDocument, UsageError
from andon.ports.hooks import GONE, Passed, Proposed, Pushed

T = TypeVar("T")
BRANCHES = "refs/heads/"
LONGEST = 255
"""Characters of a name or an address that somebody else chose."""
LAST_MOMENT = 1e11
NOBODY = "0" * 40
FORM = "application/x-www-form-urlencoded"
PIECE_BYTES = 1 << 16
LISTED = ("opened", "reopened", "synchronize", "synchronized")


class Message(Struct):
    """Base of what is read of a message; everything else in it is passed over."""


class Person(Message):
    """Whom a forge names."""

    login: str = ""
    name: str = ""
    username: str = ""
    email: str | None = None


def hmac_hex(secret: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of a body, hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare two texts in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def parse(headers: Mapping[str, str], body: bytes, type: type[T]) -> T:
    """Read a body: JSON, or a form with JSON in its field ``payload``.

    Raises:
        InvalidDocument: It is neither, or not of that shape.
    """
    if headers.get("content-type", "").lower().startswith(FORM):
        body = _payload(body)
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidDocument(
            f"the message is signed, but not as a forge writes it: {str(error)[:200]}",
            hint="does the hook's `--forge` name the right kind?",
        ) from None


def _payload(body: bytes) -> bytes:
    """Return a form's field ``payload``, read piece by piece: all at once takes eighty times its memory."""
    name, found = b"payload=", b""
    if body.startswith(name):
        found = body[len(name) :].partition(b"&")[0]
    elif (at := body.find(b"&" + name)) >= 0:
        found = body[at + 1 + len(name) :].partition(b"&")[0]
    return b"".join(unquote_to_bytes(one) for one in _pieces(found.replace(b"+", b" ")))


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a text, but no escape of two digits.

    >>> from andon.adapters.forges import reading
    >>> [len(one) for one in _pieces(b"%41" * reading.PIECE_BYTES)]
    [65535, 65535, 65535, 3]
    """
    begin = 0
    while begin < len(text):
        end = begin + PIECE_BYTES
        escape = text.rfind(b"%", end - 2, end)
        end = escape if escape >= 0 else end
        yield text[begin:end]
        begin = end


def plain(text: str) -> str:
    """Make a text of somebody else's safe to show and to keep: printable, one line, not long."""
    return "".join(c if c.isprintable() else "?" for c in text)[:LONGEST]


def emails(*persons: Person | None) -> tuple[str, ...]:
    """Return the addresses of persons, lower case."""
    found = (plain(one.email or "").strip().lower() for one in persons if one)
    return tuple(dict.fromkeys(one for one in found if "@" in one))


def moment(text: str | int | None) -> float:
    """Read a moment, given in seconds or as ISO 8601; 0: it is neither, or of no time of ours."""
    try:
        if not isinstance(text, str):
            seconds = float(text or 0)
        else:
            seconds = datetime.fromisoformat(text.replace(" UTC", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return seconds if 0 < seconds < LAST_MOMENT else 0.0


def pushed_branch(ref: str, after: str) -> str | Passed:
    """Return the branch that was pushed, or why there is none."""
    if not ref.startswith(BRANCHES):
        return Passed(reason=f"{plain(ref)} is no branch")
    branch = plain(ref.removeprefix(BRANCHES))
    return Passed(reason=f"{branch} was deleted") if after.startswith(NOBODY) else branch


class Repository(Message):
    """A repository, as GitHub and Gitea write."""

    full_name: str
    clone_url: str = ""
    pushed_at: str | int | None = None


class Push(Message):
    """A push, as GitHub and Gitea write."""

    ref: str
    repository: Repository
    after: str = ""
    deleted: bool = False
    pusher: Person | None = None
    sender: Person | None = None

    def told(self) -> Pushed | Passed:
        """Say what it tells."""
        branch = pushed_branch(self.ref, NOBODY if self.deleted else self.after)
        if isinstance(branch, Passed):
            return branch
        login = next((one.login for one in (self.sender, self.pusher) if one and one.login), "")
        return Pushed(
            branch=branch,
            project=plain(self.repository.full_name),
            login=plain(login) or "nobody",
            emails=emails(self.pusher, self.sender),
            sent_at=moment(self.repository.pushed_at),
        )


class Head(Message):
    """An end of a proposal."""

    ref: str
    sha: str = ""
    repo: Repository | None = None


class PullRequest(Message):
    """A proposal."""

    head: Head
    base: Head
    updated_at: str = ""


class Proposal(Message):
    """What happened to a proposal, as GitHub and Gitea write."""

    action: str
    number: int
    pull_request: PullRequest
    repository: Repository
    sender: Person | None = None

    def told(self) -> Proposed | Passed:
        """Say what it tells."""
        if self.action not in LISTED:
            return Passed(
                reason=f"the pull request was {plain(self.action)}: its commit is the same"
            )
        head, project = self.pull_request.head, self.repository.full_name
        return Proposed(
            branch=plain(head.ref),
            project=plain(project),
            number=self.number,
            login=plain(self.sender.login if self.sender else "") or "nobody",
            emails=emails(self.sender),
            fork=fork_of(head.repo, project),
            sha=plain(head.sha),
            sent_at=moment(self.pull_request.updated_at),
        )


def fork_of(head: Repository | None, project: str) -> str:
    """Return the address of another repository that a proposal comes from; empty: it is the same."""
    if head is not None and head.full_name == project:
        return ""
    return plain(head.clone_url if head else "") or GONE


def api_address(text: str, default_path: str) -> str:
    """Return an API's address without a slash in the end; a bare host gets the usual path.

    Raises:
        UsageError: It is none.
    """
    try:
        url = urlsplit(text.rstrip("/"))
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in url.netloc or url.query or url.fragment or not text.isascii():
        raise UsageError(
            "the address of the forge's API is not usable", hint="--api https://host[:port][/path]"
        )
    return url.geturl() if url.path else url.geturl() + default_path
