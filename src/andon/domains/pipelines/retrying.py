"""Whether a job that did not pass is run again, and whose doing that is."""

from __future__ import annotations

from andon.api.v1.actions import AnyOutcome, JobDone
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import Fault

MACHINE_ATTEMPTS = 4
"""A job or pack that the machine prevented is tried so often."""


def may_try_again(
    job: JobPlan, outcome: AnyOutcome, fault: Fault, *, failures: int, attempt: int
) -> bool:
    """Say whether another attempt is due.

    What the machine prevented is done again a few times, if the job says that it may. What failed by
    the change's fault is done again only for a reason that the job names, and so often as it says.

    Args:
        job: The job.
        outcome: How its attempt ended.
        fault: Whose fault that is.
        failures: Earlier attempts that failed by the change's fault.
        attempt: Which attempt it was, from 0.

    >>> done = JobDone(state="interrupted", fault="machine")
    >>> may_try_again(JobPlan(name="a"), done, "machine", failures=0, attempt=0)
    True
    >>> may_try_again(JobPlan(name="a", resumes=False), done, "machine", failures=0, attempt=0)
    False
    """
    interrupted = attempt - failures
    asked_for = job.retry.times if job.retry is not None and _named(job, outcome, fault) else 0
    if fault == "change":
        return failures < asked_for
    return interrupted < max(MACHINE_ATTEMPTS - 1 if job.resumes else 0, asked_for)


def _named(job: JobPlan, outcome: AnyOutcome, fault: Fault) -> bool:
    reasons = job.retry.reasons if job.retry is not None else ()
    if fault == "machine":
        return "machine" in reasons
    if not isinstance(outcome, JobDone):
        return False
    said = {outcome.reason or "failure", outcome.exit_code}
    return not said.isdisjoint(reasons)
