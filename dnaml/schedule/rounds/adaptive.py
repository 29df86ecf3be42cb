"""dnaml's round policy: the priced family, its knobs set by the objective and, for a batch, found by playing ahead.

A batch of jobs that arrives together is searched once, on the predictions of that moment, and again in small when
enough jobs have shown how fast they are; jobs that trickle in are served with the knobs of the last batch, or the
objective's own.
"""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.schedule.rounds.belief import believed
from dnaml.schedule.rounds.elastic import Elastic, is_elastic
from dnaml.schedule.rounds.knobs import Knobs, for_arrivals
from dnaml.schedule.rounds.priced import allocate
from dnaml.schedule.rounds.round import NONE, Allocation, FloatArray, Round
from dnaml.schedule.rounds.search import Found, search
from dnaml.schedule.rounds.sharing import shared
from dnaml.schedule.rounds.together import ALONE
from dnaml.schedule.rounds.trials import allocate as on_trial
from dnaml.schedule.rounds.trials import wanted
from dnaml.schedule.rounds.window import only, window

_MOST_STEPS = 100_000  # of single jobs through a whole future, in all rollouts of a search
_FEWER = 2  # a search that starts from an earlier one needs so many times fewer rollouts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """What was found for a batch: the knobs, the factors of its jobs by number, and whose runtime was known then."""

    knobs: Knobs
    factors: dict[int, float]
    found: Found | None
    newest: int = -1
    known: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """Runs the family for the round's objective. `batch` is the number of new jobs that is worth a search.

    Where gangs are elastic it chooses anew, exactly, instead. `rollouts` and `polish` bound the search in whole
    simulated futures, never in seconds.
    """

    name: str = "dnaml"
    refresh_rounds: int = 10
    batch: int = 16
    rollouts: int = 400
    polish: int = 400
    fixed: Knobs | None = None

    def allocate(self, now: Round) -> Allocation:
        """Return the gangs of this round; the score and bound of a batch are those of its plan.

        However many jobs wait, a bounded number of them is looked at.
        """
        rows, newest = window(now), int(now.numbers.max(initial=-1))
        if len(rows) == len(now.numbers):
            return self._allocated(now, newest)
        made = self._allocated(only(now, rows), newest)
        choice = np.full(len(now.numbers), NONE, dtype=np.int64)
        choice[rows] = made.choice
        if made.partner is None:
            return replace(made, choice=choice)
        partner = np.full(len(choice), ALONE, dtype=np.int64)
        partner[rows] = made.partner
        return replace(made, choice=choice, partner=partner)

    def _allocated(self, now: Round, newest: int) -> Allocation:
        if is_elastic(now):
            return Elastic().allocate(now)
        now = believed(now)
        before = now.memory if isinstance(now.memory, _Plan) else None
        if self._is_batch(now, before) and (pairs := wanted(now)).any():
            return on_trial(now, pairs)
        plan = replace(self._plan(now, before), newest=newest)
        made = shared(now, allocate(now, plan.knobs, _factor(plan, now)))
        found = plan.found
        if found is None:
            return replace(made, memory=plan)
        return replace(made, memory=plan, score=found.score, bound=found.bound)

    def _is_batch(self, now: Round, before: _Plan | None) -> bool:
        """Say whether so many jobs are new that they are worth a search."""
        seen = -1 if before is None else before.newest
        return int((now.numbers > seen).sum()) >= self.batch and self.rollouts > 0 and self.fixed is None

    def _plan(self, now: Round, before: _Plan | None) -> _Plan:
        rollouts, polish = (min(most, _MOST_STEPS // max(1, len(now.numbers))) for most in (self.rollouts, self.polish))
        if self._is_batch(now, before):
            return _searched(now, search(now, rollouts=rollouts, polish=polish))
        if before is None:
            return _Plan(knobs=self.fixed or for_arrivals(now.objective, now.price_usd_per_h), factors={}, found=None)
        if before.found is not None and len(_known(now) - before.known) >= self.batch:
            few, factor = rollouts // _FEWER, _factor(before, now)
            return _searched(now, search(now, rollouts=few, polish=few, start=before.knobs, factor=factor))
        return before


def _searched(now: Round, found: Found) -> _Plan:
    factors = {int(n): float(f) for n, f in zip(now.numbers, found.factor, strict=True) if f != 1.0}
    return _Plan(knobs=found.knobs, factors=factors, found=found, known=_known(now))


def _factor(plan: _Plan, now: Round) -> FloatArray | None:
    """Return the factors [J] of the jobs at hand; None where all are 1."""
    if not plan.factors:
        return None
    return np.array([plan.factors.get(int(n), 1.0) for n in now.numbers])


def _known(now: Round) -> frozenset[int]:
    """Return the jobs that have shown how fast they are in some configuration; none where all was exact anyway."""
    if now.log_sd is None:
        return frozenset()
    shown = ((now.log_sd == 0.0) & now.feasible).any(axis=1)
    return frozenset(now.numbers[shown].tolist())
