"""Asks over TCP: does somebody answer, and is the certificate good?"""

from __future__ import annotations

import socket
import ssl
import time

from andon.adapters.checks.place import Answered, Place
from andon.adapters.outbound import Guard
from andon.api.v1.checks import CheckSpec
from andon.kernel.errors import Unavailable

MOST_BYTES = 1 << 16
DAY_SECONDS = 86_400.0


def ask_tcp(check: CheckSpec, place: Place) -> Answered:
    """Connect, say something, and hear what is answered."""
    question = check.tcp
    assert question is not None
    deadline = time.monotonic() + check.timeout_seconds
    began = time.monotonic()
    line = _connect(question.address, place.guard, check.timeout_seconds)
    phases = {"connect": time.monotonic() - began}
    with line:
        heard = _talk(line, question.send, question.expect, deadline)
    phases["whole"] = time.monotonic() - began
    if question.expect and question.expect not in heard:
        said = f"answered {heard[:80]!r}" if heard else "nothing was answered"
        return Answered(message=f"{said}, expected {question.expect[:80]!r}", phases=phases)
    return Answered(phases=phases)


def _talk(line: socket.socket, send: str, expect: str, deadline: float) -> str:
    """Return what is heard until it is what is expected, or enough, or too late."""
    try:
        line.sendall(send.encode())
        heard = b""
        while expect and expect.encode() not in heard and len(heard) < MOST_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            line.settimeout(left)
            chunk = line.recv(4096)
            if not chunk:
                break
            heard += chunk
        return heard.decode(errors="replace")
    except TimeoutError:
        return heard.decode(errors="replace")
    except OSError as error:
        raise Unavailable(f"the connection broke: {error.strerror or error}") from error


def ask_tls(check: CheckSpec, place: Place) -> Answered:
    """Shake hands and look at the certificate."""
    question = check.tls
    assert question is not None
    host = question.address.rpartition(":")[0].strip("[]")
    name = question.server_name or host
    began = time.monotonic()
    try:
        context = ssl.create_default_context(cafile=question.ca_file or None)
    except OSError as error:
        raise Unavailable(f"{question.ca_file} cannot be read: {error.strerror}") from error
    line = _connect(question.address, place.guard, check.timeout_seconds)
    phases = {"connect": time.monotonic() - began}
    with line:
        line.settimeout(max(0.001, check.timeout_seconds - phases["connect"]))
        try:
            with context.wrap_socket(line, server_hostname=name) as wrapped:
                until = (wrapped.getpeercert() or {}).get("notAfter", "")
        except ssl.SSLCertVerificationError as error:
            return Answered(message=f"not trusted: {error.verify_message}", phases=phases)
        except OSError as error:
            raise Unavailable(f"no TLS: {error.strerror or error}") from error
    phases["tls"] = time.monotonic() - began
    days = (ssl.cert_time_to_seconds(str(until)) - place.now()) / DAY_SECONDS
    few = days < question.min_days
    message = f"good for {days:.1f} days only, expected {question.min_days:g}" if few else ""
    return Answered(message=message, phases=phases, days_left=round(days, 3))


def _connect(address: str, guard: Guard, timeout_seconds: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        return guard.connect(host, int(port), timeout_seconds)
    except OSError as error:
        raise Unavailable(f"{address} does not answer: {error.strerror or error}") from error
