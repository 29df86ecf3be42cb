"""Copies that vote: a result is committed when a strict majority of the copies that were asked for agrees on it.

A copy that failed votes for its failure. Each resource has one vote, its first. Without a majority one more copy runs
at a time, until as many again as were asked for have voted; then nobody can tell who is right.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from dnaml.core.attempt import Attempt, AttemptState
from dnaml.core.events import AttemptEnded
from dnaml.core.resource import Resource
from dnaml.schedule.feasible import keeps_static
from dnaml.schedule.ledger import Entry, Vote

_SHOWN = 12


def vote_of(attempt: Attempt, ended: AttemptEnded) -> Vote:
    """Return what an ended copy said."""
    done = ended.outcome is AttemptState.DONE
    digest = ended.result.digest if ended.result is not None else ""
    return Vote(
        attempt_id=attempt.id,
        resource_id=attempt.placement.resource_id,
        digest=digest if done else None,
        error=ended.error,
        result=ended.result,
        runtime_s=ended.usage.runtime_s,
    )


def winner(votes: Sequence[Vote], replicas: int) -> Vote | None:
    """Return the first vote for what a strict majority of `replicas`, and of all that voted, agrees on."""
    firsts = list({vote.resource_id: vote for vote in reversed(votes)}.values())[::-1]
    counts = Counter(vote.digest for vote in firsts)
    for vote in firsts:
        if 2 * counts[vote.digest] > max(replicas, len(firsts)):
            return vote
    return None


def is_hopeless(entry: Entry, resources: Iterable[Resource]) -> bool:
    """Say whether enough copies voted to give up, or no resource is known that could vote and has not."""
    voted = {vote.resource_id for vote in entry.votes}
    left = (r for r in resources if r.id not in voted and keeps_static(entry.job.constraints, r))
    return len(voted) >= 2 * entry.job.resilience.replicas or next(left, None) is None


def disagreement(votes: Sequence[Vote]) -> str:
    """Return in words who said what."""
    said = ", ".join(
        f"{vote.resource_id}: {'failed' if vote.digest is None else (vote.digest[:_SHOWN] or 'no digest')}"
        for vote in votes
    )
    return f"{len(votes)} copies voted and no result has a majority ({said})"
