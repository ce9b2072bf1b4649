"""What waits, what is under way, and what was given up."""

from __future__ import annotations

from typing import TypedDict

from andon.api.v1.answers.fields import Time


class Worker(TypedDict):
    """A process that takes turns."""

    name: str
    token: int
    alive: bool
    leaseEndsIn: float


class Lease(TypedDict):
    """What one worker does for all."""

    name: str
    worker: str
    token: int
    endsIn: float


class Turn(TypedDict):
    """A controller's turn that is due."""

    subject: str
    due: Time
    worker: str
    attempts: int


class PendingAction(TypedDict):
    """An action that is under way."""

    key: str
    subject: str
    step: str
    queue: str
    worker: str
    token: int
    askedAt: Time


class DeadLetter(TypedDict):
    """Work that was given up."""

    queue: str
    subject: str
    error: str
    attempts: int
    at: Time


class Queue(TypedDict):
    """What waits, what is under way, who works, and what was given up."""

    paused: str
    workers: list[Worker]
    leases: list[Lease]
    turns: list[Turn]
    actions: list[PendingAction]
    deadLetters: list[DeadLetter]
