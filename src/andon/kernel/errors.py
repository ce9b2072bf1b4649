"""The one family of exceptions.

Verdicts are values. An exception means that an operation could not be carried out or judged; it is
caught in three places only: the CLI, the web layer and the runtime's dispatch.
"""

from __future__ import annotations

from typing import ClassVar


class AndonError(Exception):
    """An operation could not be carried out or judged.

    Args:
        message: What happened, to which subject, and why; one sentence or two.
        hint: The next command or edit that helps, without a leading verb such as "try".
    """

    code: ClassVar[str] = "InternalError"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class InternalError(AndonError):
    """Andon itself is at fault."""


class UsageError(AndonError):
    """The command or request was put wrongly."""

    code, exit_code, http_status = "UsageError", 2, 400


class InvalidDocument(AndonError):
    """A document does not say something Andon understands."""

    code, exit_code, http_status = "InvalidDocument", 3, 422


class NotFound(AndonError):
    """The named subject does not exist."""

    code, exit_code, http_status = "NotFound", 4, 404


class Conflict(AndonError):
    """Somebody else changed or holds the thing meanwhile."""

    code, exit_code, http_status = "Conflict", 5, 409


class Fenced(Conflict):
    """A newer epoch has taken over; this worker must stop writing."""

    code = "Fenced"


class Stale(Conflict):
    """The subject is not as it was when the caller looked (``If-Match``)."""

    code, http_status = "Stale", 412


class Denied(AndonError):
    """The caller may not do this."""

    code, exit_code, http_status = "Denied", 6, 403


class NotLoggedIn(Denied):
    """Nobody knows who the caller is."""

    code, http_status = "NotLoggedIn", 401


class Unavailable(AndonError):
    """Something needed does not answer now; trying again later may succeed."""

    code, exit_code, http_status, retry = "Unavailable", 7, 503, True


class TooMany(Unavailable):
    """The caller asks too often."""

    code, http_status = "TooMany", 429

    def __init__(self, message: str, *, hint: str = "", again_seconds: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.again_seconds = again_seconds


class StepFailed(AndonError):
    """A step ran and failed by the change's own fault."""

    code, exit_code, http_status = "StepFailed", 8, 422


class TimedOut(AndonError):
    """The time allowed is over."""

    code, exit_code, http_status, retry = "TimedOut", 9, 504, True


class Held(AndonError):
    """A gate is closed: Evidence is missing or a Hold matches."""

    code, exit_code, http_status = "Held", 10, 423


class Untrusted(AndonError):
    """Evidence or an artifact failed verification."""

    code, exit_code, http_status = "Untrusted", 11, 422


class Drifted(AndonError):
    """The observed state differs from the desired one (``--check``)."""

    code, exit_code, http_status = "Drifted", 12, 409


ERRORS: tuple[type[AndonError], ...] = (
    InternalError,
    UsageError,
    InvalidDocument,
    NotFound,
    Conflict,
    Fenced,
    Stale,
    Denied,
    NotLoggedIn,
    Unavailable,
    TooMany,
    StepFailed,
    TimedOut,
    Held,
    Untrusted,
    Drifted,
)


def from_code(code: str, message: str, hint: str = "") -> AndonError:
    """Rebuild an error that crossed a process boundary.

    Args:
        code: The ``code`` of one of ``ERRORS``; anything else becomes an InternalError.
        message: Its message.
        hint: Its hint.
    """
    kind = next((error for error in ERRORS if error.code == code), InternalError)
    return kind(message, hint=hint)
