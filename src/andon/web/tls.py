"""The certificate of the server: read from files, looked at before it is used, read again when it changes.

Each handshake takes the newest certificate that passed; connections that are open stay as they are. A
new pair that is broken, or half written, changes nothing but a line in the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509

from andon.api.v1.installation import TlsSpec
from andon.kernel.clock import Clock
from andon.kernel.errors import UsageError

PACE_SECONDS = 5.0
"""How often the files are looked at."""
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_log = logging.getLogger("andon.web")

_Stamp = tuple[tuple[int, int, int], ...]


class Pair(NamedTuple):
    """A certificate with its key, ready to serve."""

    context: ssl.SSLContext
    expires_at: float
    """Seconds since the Unix epoch."""


class Certificates:
    """The pair in use.

    Args:
        files: Where certificate and key are.
        clock: Says what has expired.

    Raises:
        UsageError: The pair cannot be used; the message says why.
    """

    def __init__(self, files: TlsSpec, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._stamp = self._look()
        self._pair = read_pair(files, clock)
        self.context = self._pair.context
        """For the server: it hands every handshake on to the newest pair."""
        self.context.sni_callback = self._newest

    def _newest(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        handshake.context = self._pair.context

    def refresh(self) -> bool:
        """Read the files again if they changed; say whether a new pair is in use."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self._pair = read_pair(self._files, self._clock)
        except UsageError as error:
            _log.warning("the certificate in use stays: %s", error.message)
            return False
        _log.info("a new certificate is in use: %s", self._files.certificate)
        return True

    async def keep_fresh(self, pace_seconds: float) -> None:
        """Look at the files again and again, until cancelled.

        Args:
            pace_seconds: Pause between two looks.
        """
        while True:
            await asyncio.sleep(pace_seconds)
            await asyncio.to_thread(self.refresh)

    def _look(self) -> _Stamp:
        return tuple(map(_stamp, (self._files.certificate, self._files.key)))


def read_pair(files: TlsSpec, clock: Clock) -> Pair:
    """Read a certificate and its key.

    Args:
        files: Where they are.
        clock: Says whether the certificate counts now.

    Raises:
        UsageError: A file is missing, may not be read or is no PEM; the two do not belong together;
            or the certificate does not count now.
    """
    certificate = _certificate(files.certificate)
    _read(files.key)
    begins = certificate.not_valid_before_utc.timestamp()
    ends = certificate.not_valid_after_utc.timestamp()
    if not begins <= clock.now() < ends:
        since = f"begins to count at {_day(begins)}" if clock.now() < begins else _ended(ends)
        raise UsageError(f"the certificate {files.certificate} {since}", hint=_hint(files))
    return Pair(_context(files), ends)


def _certificate(path: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read(path))[0]
    except ValueError:
        raise UsageError(
            f"there is no certificate in {path}",
            hint="PEM, beginning with -----BEGIN CERTIFICATE-----, the own one before its issuers",
        ) from None


def _context(files: TlsSpec) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except ssl.SSLError as error:
        raise UsageError(_mismatch(files, error), hint=_hint(files)) from None
    except OSError as error:
        raise UsageError(f"{files.key} cannot be read: {error.strerror}") from None
    return context


def _mismatch(files: TlsSpec, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key {files.key} is not that of the certificate {files.certificate}"
    return f"the key {files.key} cannot be used: no PEM, or protected by a password"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            hint="`spec.tls` of the configuration names certificate and key; "
            "they must be readable by the user Andon runs as",
        ) from None


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_ino, found.st_size


def _ended(moment: float) -> str:
    return f"has expired on {_day(moment)}"


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def _hint(files: TlsSpec) -> str:
    return f"renew both together; `openssl x509 -noout -text -in {files.certificate}` shows it"
