"""dnaml's round policy: the priced family, its knobs set by the objective and, for a batch, found by playing ahead.

A batch of jobs that arrives together is searched once, on the predictions of that moment, and again in small when
enough jobs have shown how fast they are; jobs that trickle in are served with the knobs of the last batch, or the
objective's own.
"""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.schedule.rounds.belief import believed
from dnaml.schedule.rounds.elastic import Elastic, is_elastic
from dnaml.schedule.rounds.knobs import Knobs, preset
from dnaml.schedule.rounds.priced import allocate
from dnaml.schedule.rounds.round import Allocation, FloatArray, Round
from dnaml.schedule.rounds.search import Found, search

_FEWER = 2  # a search that starts from an earlier one needs so many times fewer rollouts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """What was found for a batch: the knobs, the factors of its jobs by number, and whose runtime was known then."""

    knobs: Knobs
    factors: dict[int, float]
    found: Found | None
    newest: int
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
        """Return the gangs of this round; the score and bound of a batch are those of its plan."""
        if is_elastic(now):
            return Elastic().allocate(now)
        now = believed(now)
        plan = self._plan(now)
        made = allocate(now, plan.knobs, _factor(plan, now))
        found = plan.found
        if found is None:
            return replace(made, memory=plan)
        return replace(made, memory=plan, score=found.score, bound=found.bound)

    def _plan(self, now: Round) -> _Plan:
        before = now.memory if isinstance(now.memory, _Plan) else None
        newest = int(now.numbers.max(initial=-1))
        seen = -1 if before is None else before.newest
        if int((now.numbers > seen).sum()) >= self.batch and self.rollouts and self.fixed is None:
            return self._searched(now, search(now, rollouts=self.rollouts, polish=self.polish))
        if before is None:
            knobs = self.fixed or preset(now.objective, now.price_usd_per_h)
            return _Plan(knobs=knobs, factors={}, found=None, newest=newest)
        if before.found is not None and len(_known(now) - before.known) >= self.batch:
            few, factor = self.rollouts // _FEWER, _factor(before, now)
            found = search(now, rollouts=few, polish=few, start=before.knobs, factor=factor)
            return self._searched(now, found)
        return replace(before, newest=newest)

    @staticmethod
    def _searched(now: Round, found: Found) -> _Plan:
        factors = {int(n): float(f) for n, f in zip(now.numbers, found.factor, strict=True) if f != 1.0}
        newest = int(now.numbers.max(initial=-1))
        return _Plan(knobs=found.knobs, factors=factors, found=found, newest=newest, known=_known(now))


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
