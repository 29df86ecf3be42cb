"""Spot checks: some jobs run once more elsewhere after their commit, and resources that differ lose trust.

A resource is checked in all that it does until enough of its results agreed with another's, then in a share of it.
The committed result never changes. Two that differ are both doubted until a third run decides; where all three differ,
it is the computation whose results vary, and it is checked no more.
"""

import zlib
from collections import Counter
from dataclasses import dataclass, field

from dnaml.core.attempt import Attempt, AttemptState, Placement
from dnaml.core.events import AttemptEnded
from dnaml.schedule.dispatch import Dispatch
from dnaml.schedule.endings import Endings
from dnaml.schedule.errands import Errand, Purpose
from dnaml.schedule.ledger import Entry, Vote
from dnaml.schedule.votes import vote_of

_RANGE = 2**32


@dataclass(slots=True, eq=False)
class _Check:
    """One job that is checked, and what its runs said so far: the committed result first."""

    entry: Entry
    votes: list[Vote] = field(default_factory=list)


class SpotChecks:
    """Chooses what is checked, and judges what the checks say."""

    def __init__(self, dispatch: Dispatch, endings: Endings, seed: int) -> None:
        self._dispatch, self._endings, self._seed = dispatch, endings, seed
        self._open: dict[str, _Check] = {}
        self._varying: set[str] = set()
        self._agreed: Counter[str] = Counter()  # results of a resource that another confirmed, since it was last wrong

    def consider(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Check a job whose single result was just committed, if it is among those drawn."""
        settings = self._dispatch.settings
        share = settings.spot_check_share
        if share <= 0 or self._dispatch.recovering or event.outcome is not AttemptState.DONE or event.result is None:
            return
        is_single = attempt.placement.parts == 1 and max(entry.job.resilience.replicas, entry.copies) == 1
        if self._agreed[attempt.placement.resource_id] < settings.spot_check_first:
            share = 1.0
        varies = entry.computation.id in self._varying
        if varies or not (entry.over and is_single and is_drawn(entry.job.id, self._seed, share)):
            return
        check = _Check(entry, [vote_of(attempt, event)])
        if self._send(check, attempt.placement, event.at_s):
            self._open[entry.job.id] = check

    def _send(self, check: _Check, placement: Placement, at_s: float) -> bool:
        """Run the job once more where it has not run, in another domain if there is one."""
        outlook = self._dispatch.planner.outlook(check.entry, at_s)
        ran_on = {vote.resource_id for vote in check.votes}
        domains = {r.domain for r in outlook.problem.resources if r.id in ran_on}
        target = outlook.best(ran_on | self._dispatch.errands.awaited(), domains) or outlook.best(ran_on, domains)
        if target is None:
            return False
        elsewhere = Placement(job_id=check.entry.job.id, resource_id=target, units=placement.units)
        self._dispatch.errands.add(
            Errand(entry=check.entry, placement=elsewhere, purpose=Purpose.CHECK, source=None, outlook=outlook)
        )
        return True

    def ended(self, entry: Entry, attempt: Attempt, event: AttemptEnded) -> None:
        """Compare what a check said; one that did not end by itself says nothing."""
        check = self._open.get(entry.job.id)
        if check is None or self._dispatch.purposes.get(attempt.id) is not Purpose.CHECK:
            return
        if event.outcome not in (AttemptState.DONE, AttemptState.FAILED):
            del self._open[entry.job.id]
            return
        check.votes.append(vote_of(attempt, event))
        first, *others = check.votes
        if len(others) == 1 and others[0].digest == first.digest:
            self._agreed.update((first.resource_id, others[0].resource_id))
        if len(others) == 1 and others[0].digest != first.digest:
            for vote in check.votes:
                self._dispatch.pool.distrust(vote.resource_id)
            if self._send(check, attempt.placement, event.at_s):
                return
        elif len(others) == 2:
            self._decide(check, event.at_s)
        del self._open[entry.job.id]

    def _decide(self, check: _Check, at_s: float) -> None:
        """Take the doubt back from whom the third run agrees with; the other is held to be wrong."""
        first, second, third = check.votes
        for vote in (first, second):
            self._dispatch.pool.distrust(vote.resource_id, -1)
        if third.digest == first.digest:
            self._hold_wrong(check.entry, second, at_s)
        elif third.digest == second.digest:
            self._hold_wrong(check.entry, first, at_s)
        else:
            self._varying.add(check.entry.computation.id)

    def _hold_wrong(self, entry: Entry, vote: Vote, at_s: float) -> None:
        """Take trust from a resource, and check all that it does from here on."""
        self._endings.distrust(entry, vote, at_s)
        self._agreed[vote.resource_id] = 0


def is_drawn(job_id: str, seed: int, share: float) -> bool:
    """Say whether a job is among the share that is checked: as good as random, alike each time."""
    return zlib.crc32(f"{seed}/{job_id}".encode()) < share * _RANGE
