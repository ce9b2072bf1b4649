"""The ledger: events, proofs, and what came in."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time
from andon.api.v1.answers.line import Run


class Event(TypedDict):
    """Something that happened."""

    kind: Literal["event"]
    seq: Annotated[int, Meta(description="Its place in the ledger.")]
    id: str
    at: Time
    type: Annotated[str, Meta(description="Of the CDEvent.")]
    stream: str
    chain: Annotated[str, Meta(description="Change that it belongs to.")]
    subject: str
    text: Annotated[str, Meta(description="In one line.")]


class EventInFull(TypedDict):
    """An event with its body, what led to it and what it led to."""

    event: Event
    body: Annotated[dict[str, Any], Meta(description="The CloudEvent; empty once it is erased.")]
    causes: list[Event]
    effects: list[Event]


class Progress(TypedDict):
    """A Run whose numbers moved; in the event stream only."""

    kind: Literal["progress"]
    run: Run


class Key(TypedDict):
    """The public key that checkpoints are signed with."""

    keyId: str
    publicKey: str


class Checkpoint(TypedDict):
    """How far the ledger is signed."""

    made: Annotated[bool, Meta(description="False: nothing was new.")]
    seq: int


class FindingRow(TypedDict):
    """A place where the ledger is not as it was written."""

    stream: str
    n: int
    seq: int
    id: str
    what: str


class Verification(TypedDict):
    """What was found where every chain was computed again."""

    ok: bool
    events: int
    streams: int
    erased: int
    archived: int
    segments: int
    checkpoints: int
    signedSeq: int
    findings: list[str]
    places: list[FindingRow]


class Erasure(TypedDict):
    """An event whose body is gone."""

    id: str
    stream: str
    n: int
    told: Annotated[str, Meta(description="The event that says so.")]
    wiped: Annotated[bool, Meta(description="Nothing of it is left in Andon's own files.")]


class Archival(TypedDict):
    """What was moved into the blob store."""

    events: int
    blobs: int


class Imported(TypedDict):
    """How many events were taken in."""

    events: int
    skipped: int


class Comparison(TypedDict):
    """Whether streams ended like that once."""

    same: bool


class Taken(TypedDict):
    """An event of others, as it was kept."""

    id: str
    source: str
    event: Annotated[str, Meta(description="Its id in the ledger.")]
    created: Annotated[bool, Meta(description="False: it was there already.")]
    change: str
    evidence: list[str]
    checks: list[str]
    notes: list[str]


class Intake(TypedDict):
    """Events of others that were kept."""

    events: list[Taken]
