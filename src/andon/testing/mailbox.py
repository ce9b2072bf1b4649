"""A mail server on the loopback address that keeps what it gets; it offers STARTTLS if asked to.

Source: RFC 5321 and RFC 3207, as far as a client that sends a message needs them.
"""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from msgspec import Struct


class Letter(Struct, frozen=True):
    """A message as it was handed over.

    Args:
        sender: Of the envelope.
        recipients: Of the envelope.
        message: Its headers and text.
        encrypted: Whether it came over TLS.
        login: What the client said who it was, in base64; empty: nothing.
    """

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    login: str


class Mailbox:
    """Keeps every message.

    Args:
        certificate: Certificate and key, for STARTTLS; None: it is not offered.
    """

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.letters: list[Letter] = []
        self.refuse: Callable[[str], str] = lambda recipient: ""
        """Says what a recipient is refused with; empty: taken."""
        self.tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self._server = _Server(("127.0.0.1", 0), _Session)
        self._server.mailbox = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    mailbox: Mailbox


class _Session(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self._encrypted, self._login = False, ""
        self._sender, self._recipients = "", list[str]()
        self._say("220 ready")
        while line := self.rfile.readline():
            text = line.decode().strip()
            verb = text.split(" ", 1)[0].upper()
            if verb == "QUIT":
                self._say("221 bye")
                return
            self._answer(verb, text)

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _answer(self, verb: str, text: str) -> None:
        mailbox = self.server.mailbox
        match verb:
            case "EHLO" | "HELO":
                offers = ["8BITMIME", "AUTH PLAIN"]
                offers += ["STARTTLS"] if mailbox.tls and not self._encrypted else []
                self._say("250-hello", *(f"250-{one}" for one in offers[:-1]), f"250 {offers[-1]}")
            case "STARTTLS" if mailbox.tls:
                self._say("220 go ahead")
                self._encrypt(mailbox.tls)
            case "AUTH":
                self._login = text.split(" ")[-1]
                self._say("235 you are")
            case "MAIL":
                self._sender, self._recipients = _between(text), []
                self._say("250 ok")
            case "RCPT":
                refused = mailbox.refuse(_between(text))
                self._recipients += [] if refused else [_between(text)]
                self._say(refused or "250 ok")
            case "DATA":
                self._say("354 go on")
                self._keep()
                self._say("250 kept")
            case "RSET" | "NOOP":
                self._say("250 ok")
            case _:
                self._say("502 not here")

    def _encrypt(self, tls: ssl.SSLContext) -> None:
        self.connection = tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self._encrypted = True

    def _keep(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        letter = Letter(
            self._sender, tuple(self._recipients), message, self._encrypted, self._login
        )
        self.server.mailbox.letters.append(letter)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


def _between(text: str) -> str:
    return text.partition("<")[2].partition(">")[0]
