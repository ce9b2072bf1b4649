"""Checkpoints: the ends of all chains, signed with a key that the database does not have.

Whoever can write the database can also recompute every hash in it. What was signed before, they cannot
sign again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.ports.proof import Signer
from andon.ports.store import Checkpoint, Finding, Segment, Tx, Verification

DOMAIN = b"andon ledger checkpoint 1\n"
"""Comes before what is signed, so that the signature means nothing else."""

_json = msgspec.json.Encoder(order="sorted")


class Places(Protocol):
    """What must be known of the chains."""

    def hash_at(self, stream: str, n: int) -> str | None:
        """Return the hash of the event at a place of a stream, if it is there."""
        ...

    def heads_at(self, seq: int) -> dict[str, int]:
        """Return the last position of each stream up to a place of the ledger."""
        ...


class Body(Struct, frozen=True):
    """What is signed.

    Args:
        seq: Position in the ledger.
        time: When.
        heads: Last position and hash of each stream.
        previous: SHA-256 of the body before; empty: this is the first.
    """

    seq: int
    time: float
    heads: dict[str, tuple[int, str]]
    previous: str = ""


class Proven(Struct, frozen=True):
    """How far a stream is what was signed: its position, and that of the checkpoint."""

    n: int
    seq: int


COVERED = "covered"
"""In place of a hash within a segment: the chain to its end covers it; reading the blob proves that."""


def make_checkpoint(tx: Tx, signer: Signer, now: float) -> Checkpoint | None:
    """Sign the ends of all chains and keep that; None if nothing was written since the last.

    Args:
        tx: A writing transaction.
        signer: The key.
        now: When, seconds since the Unix epoch.
    """
    last = tx.last_seq()
    before = tx.checkpoints(newest=1)
    if last == (before[0].seq if before else 0):
        return None
    previous = _digest(before[0].body) if before else ""
    body = _json.encode(Body(last, now, tx.heads(), previous)).decode()
    made = Checkpoint(last, now, body, signer.key_id, signer.sign(DOMAIN + body.encode()))
    tx.add_checkpoint(made)
    return made


def with_checkpoints(
    found: Verification,
    checkpoints: Sequence[Checkpoint],
    newest: Checkpoint | None,
    signer: Signer,
    places: Places,
    segments: Sequence[Segment] = (),
) -> Verification:
    """Add to a verification whether the ledger is what was signed.

    Args:
        found: The chains, recomputed.
        checkpoints: By ``seq``.
        newest: The newest one, as it was remembered outside the database.
        signer: Knows the trusted keys.
        places: The chains.
        segments: What was archived.
    """
    findings = list(found.findings)
    good, signed_seq, previous = 0, 0, ""
    signed: Body | None = None
    proven: dict[str, Proven] = {}
    broken: set[str] = set()
    for checkpoint in checkpoints:
        wrong = [*_check(checkpoint, previous, signer)]
        if not wrong:
            body = msgspec.json.decode(checkpoint.body, type=Body)
            wrong = [*_check_heads(body, proven, broken, places, segments)]
            signed = body
        if not wrong and not broken:
            good, signed_seq = good + 1, checkpoint.seq
        findings += wrong
        previous = _digest(checkpoint.body)
    if signed is not None:
        findings += _check_inserted(signed, places)
    if newest is not None and newest not in checkpoints:
        what = "the newest checkpoint, remembered outside the database, is not in it: it was rewritten or is older"
        findings.append(Finding(stream="", n=0, seq=newest.seq, what=what))
    return replace(found, findings=tuple(findings), checkpoints=good, signed_seq=signed_seq)


def _check(checkpoint: Checkpoint, previous: str, signer: Signer) -> Iterator[Finding]:
    def wrong(what: str) -> Finding:
        return Finding(stream="", n=0, seq=checkpoint.seq, what=f"checkpoint: {what}")

    if not signer.trusts(checkpoint.key_id):
        yield wrong(f"signed with {checkpoint.key_id}, a key that is not trusted here")
    elif not signer.is_signed(
        DOMAIN + checkpoint.body.encode(), checkpoint.key_id, checkpoint.signature
    ):
        yield wrong("its signature does not fit")
    else:
        body = msgspec.json.decode(checkpoint.body, type=Body)
        if (body.seq, body.time) != (checkpoint.seq, checkpoint.time):
            yield wrong("its row differs from what was signed")
        if body.previous != previous:
            yield wrong("the one before it is missing or altered")


def _check_heads(
    body: Body,
    proven: dict[str, Proven],
    broken: set[str],
    places: Places,
    segments: Sequence[Segment],
) -> Iterator[Finding]:
    """Check what was signed of each stream; the first checkpoint that differs says between which places."""
    for stream, (n, hash) in sorted(body.heads.items()):
        if stream in broken:
            continue
        there = _hash_at(stream, n, places, segments)
        if there in (hash, COVERED):
            proven[stream] = Proven(n, body.seq)
            continue
        broken.add(stream)
        start = proven.get(stream, Proven(0, 0))
        what = "the chain was cut" if there is None else "the chain was rewritten"
        yield Finding(
            stream=stream,
            n=start.n + 1,
            seq=start.seq + 1,
            what=f"from here to #{n} is not what was signed at seq {body.seq}: {what}",
        )


def _hash_at(stream: str, n: int, places: Places, segments: Sequence[Segment]) -> str | None:
    for one in segments:
        if one.stream == stream and one.first_n <= n <= one.last_n:
            return one.last_hash if n == one.last_n else COVERED
    return places.hash_at(stream, n)


def _check_inserted(signed: Body, places: Places) -> Iterator[Finding]:
    """Find events dated back: between those that were signed there were no others."""
    for stream, n in sorted(places.heads_at(signed.seq).items()):
        last = signed.heads.get(stream, (0, ""))[0]
        if n > last:
            what = f"was put in after seq {signed.seq} was signed"
            yield Finding(stream=stream, n=last + 1, seq=signed.seq, what=what)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
