"""Checkpoints: the ends of all chains, signed with a key that the database does not have.

Whoever can write the database can also recompute every hash in it. What was signed before, they cannot
sign again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.ports.proof import Signer
from andon.ports.store import Checkpoint, Finding, Segment, Tx, Verification

DOMAIN = b"andon ledger checkpoint 1\n"
"""Comes before what is signed, so that the signature means nothing else."""

_json = msgspec.json.Encoder(order="sorted")
HashAt = Callable[[str, int], str | None]


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
    hash_at: HashAt,
    segments: Sequence[Segment] = (),
) -> Verification:
    """Add to a verification whether the ledger is what was signed.

    Args:
        found: The chains, recomputed.
        checkpoints: By ``seq``.
        newest: The newest one, as it was remembered outside the database.
        signer: Knows the trusted keys.
        hash_at: Tells the hash of the event at a place of a stream; None if it is not there.
        segments: What was archived.
    """
    findings = list(found.findings)
    good = signed = 0
    previous = ""
    for checkpoint in checkpoints:
        wrong = [*_check(checkpoint, previous, signer)]
        if not wrong:
            heads = msgspec.json.decode(checkpoint.body, type=Body).heads
            wrong = [*_check_heads(checkpoint, heads, hash_at, segments)]
        if not wrong:
            good, signed = good + 1, checkpoint.seq
        findings += wrong
        previous = _digest(checkpoint.body)
    if newest is not None and newest not in checkpoints:
        what = "the newest checkpoint, remembered outside the database, is not in it: it was rewritten or is older"
        findings.append(Finding(stream="", n=0, seq=newest.seq, what=what))
    return replace(found, findings=tuple(findings), checkpoints=good, signed_seq=signed)


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
    checkpoint: Checkpoint,
    heads: Mapping[str, tuple[int, str]],
    hash_at: HashAt,
    segments: Sequence[Segment],
) -> Iterator[Finding]:
    for stream, (n, hash) in sorted(heads.items()):
        inside = next(
            (one for one in segments if one.stream == stream and one.first_n <= n <= one.last_n),
            None,
        )
        if inside is not None and n < inside.last_n:
            continue  # The chain to the segment's end covers it; reading the blob proves that.
        there = inside.last_hash if inside is not None else hash_at(stream, n)
        if there != hash:
            what = (
                "was signed, and is gone: the chain was cut"
                if there is None
                else "is not what was signed: the chain was rewritten"
            )
            yield Finding(stream=stream, n=n, seq=checkpoint.seq, what=what)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
