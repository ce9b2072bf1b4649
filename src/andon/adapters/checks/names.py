"""Asks for names, of a server of choice."""

from __future__ import annotations

import time

from andon.adapters.checks.place import Answered, Place
from andon.api.v1.checks import CheckSpec
from andon.kernel.errors import Unavailable


def ask_dns(check: CheckSpec, place: Place) -> Answered:
    """Resolve a name and compare the records."""
    import dns.exception
    import dns.resolver

    question = check.dns
    assert question is not None
    resolver = dns.resolver.Resolver(configure=not question.server)
    if question.server:
        resolver.nameservers = place.guard.addresses(question.server, question.port)
        resolver.port = question.port
    began = time.monotonic()
    try:
        answer = resolver.resolve(
            question.name, question.type, lifetime=check.timeout_seconds, search=False
        )
    except dns.resolver.NXDOMAIN:
        return Answered(message=f"there is no name {question.name}")
    except dns.resolver.NoAnswer:
        return Answered(message=f"{question.name} has no {question.type} record")
    except dns.exception.DNSException as error:
        raise Unavailable(f"no answer: {str(error)[:200] or type(error).__name__}") from error
    phases = {"resolve": time.monotonic() - began}
    found = {_plain(record.to_text()) for record in answer}
    missing = [one for one in question.expect if _plain(one) not in found]
    if missing:
        there = ", ".join(sorted(found)[:5])
        return Answered(message=f"{', '.join(missing)} is missing; there is {there}", phases=phases)
    return Answered(phases=phases)


def _plain(record: str) -> str:
    return record.strip('"').rstrip(".").lower()
