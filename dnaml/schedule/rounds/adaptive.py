"""dnaml's round policy: the priced family, its knobs set by the objective and, for a batch, found by playing ahead.

A batch of jobs that arrives together is searched once, on the predictions of that moment; jobs that trickle in are
served with the knobs of the last batch, or the objective's own.
"""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.schedule.rounds.elastic import Elastic, is_elastic
from dnaml.schedule.rounds.knobs import Knobs, preset
from dnaml.schedule.rounds.priced import allocate
from dnaml.schedule.rounds.round import Allocation, FloatArray, Round
from dnaml.schedule.rounds.search import Found, search


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """What was found for a batch: the knobs, and the factors of its jobs by number."""

    knobs: Knobs
    factors: dict[int, float]
    found: Found | None
    newest: int


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
        plan = self._plan(now)
        factor: FloatArray | None = None
        if plan.factors:
            factor = np.array([plan.factors.get(int(n), 1.0) for n in now.numbers])
        made = allocate(now, plan.knobs, factor)
        found = plan.found
        if found is None:
            return replace(made, memory=plan)
        return replace(made, memory=plan, score=found.score, bound=found.bound)

    def _plan(self, now: Round) -> _Plan:
        before = now.memory if isinstance(now.memory, _Plan) else None
        newest = int(now.numbers.max(initial=-1))
        known = -1 if before is None else before.newest
        if int((now.numbers > known).sum()) >= self.batch and self.rollouts and self.fixed is None:
            found = search(now, rollouts=self.rollouts, polish=self.polish)
            factors = {int(n): float(f) for n, f in zip(now.numbers, found.factor, strict=True) if f != 1.0}
            return _Plan(knobs=found.knobs, factors=factors, found=found, newest=newest)
        if before is None:
            knobs = self.fixed or preset(now.objective, now.price_usd_per_h)
            return _Plan(knobs=knobs, factors={}, found=None, newest=newest)
        return replace(before, newest=newest)
