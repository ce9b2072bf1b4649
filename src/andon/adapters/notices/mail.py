"""Notices by e-mail.

Source: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 3834 (automatic messages).
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from andon.api.v1.installation import MailSpec
from andon.kernel.errors import Denied, Unavailable
from andon.ports.notices import Notice

TIMEOUT_SECONDS = 15.0


class Mail:
    """Hands a message to the installation's mail server; trying again is the caller's.

    Args:
        spec: Which server, and whose name is on the messages.
    """

    def __init__(self, spec: MailSpec) -> None:
        self._spec = spec

    async def send(self, address: str, notice: Notice) -> None:
        """Send a notice to an address.

        Raises:
            Unavailable: The server cannot be reached, or asks to be told later.
            Denied: It will not take this, or does not offer encryption though it must.
        """
        await asyncio.to_thread(self._send, address, notice)

    def _send(self, address: str, notice: Notice) -> None:
        server, _, port = self._spec.server.rpartition(":")
        try:
            with smtplib.SMTP(server, int(port), timeout=TIMEOUT_SECONDS) as smtp:
                self._greet(smtp)
                smtp.send_message(message(self._spec.sender, address, notice))
        except smtplib.SMTPNotSupportedError as error:
            raise Denied(
                f"the mail server {server} lacks what is asked for: {_said(error)}",
                hint="`startTls: false` for a server on this machine",
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise _refused(server, code, said) from None
        except smtplib.SMTPResponseException as error:
            raise _refused(server, error.smtp_code, error.smtp_error) from None
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"the mail server {server} does not answer: {_said(error)}") from None

    def _greet(self, smtp: smtplib.SMTP) -> None:
        if self._spec.start_tls:
            smtp.starttls(context=ssl.create_default_context())
        if self._spec.user and self._spec.password_file:
            smtp.login(self._spec.user, _password(self._spec.password_file))


def message(sender: str, address: str, notice: Notice) -> EmailMessage:
    """Write a notice as a message; no text in it can become a header."""
    made = EmailMessage(policy=SMTP)
    made["From"] = sender
    made["To"] = address
    made["Subject"] = _one_line(notice.subject)
    # The same notice sent twice is one message to who looks at ids.
    digest = hashlib.sha256(f"{notice.id} {address}".encode()).hexdigest()[:32]
    made["Message-ID"] = f"<{digest}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("\n".join((*notice.lines, "", notice.url, "")))
    return made


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200]


def _password(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise Unavailable(f"the mail password in {path} cannot be read: {reason}") from None


def _refused(server: str, code: int, said: bytes | str) -> Unavailable | Denied:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    what = f"the mail server {server} answered {code}: {_one_line(text)}"
    return Denied(what) if code >= 500 else Unavailable(what)


def _said(error: Exception) -> str:
    return _one_line(str(error)) or type(error).__name__
