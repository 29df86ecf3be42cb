"""Finding the family's knobs for the jobs at hand: it plays its own future with many settings and keeps the best.

All randomness comes from the seed and all effort is counted in rollouts, so that equal input gives an equal answer.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.core.work import Objective
from dnaml.schedule.rounds.bounds import cheapest_usd, mean_completion_s
from dnaml.schedule.rounds.knobs import Knobs, drawn, preset, turned
from dnaml.schedule.rounds.rollout import Future, rollout
from dnaml.schedule.rounds.round import FloatArray, Round

_KEPT = 20
_PARENTS = 8
_LATE = 10.0
_TIE_COST = 0.02  # weights of terms the objective leaves out: what does not matter is not wasted
_TIE_LATENCY = 0.1
_MARGIN_ROUNDS = 2
_SPREAD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Utopia:
    """What each term of the objective could be at best, alone: the units in which terms are compared."""

    mean_s: float
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The knobs a search chose, the factors [J] on single jobs' keys, what they are expected to come to, and the
    utopia it was measured by."""

    knobs: Knobs
    factor: FloatArray
    future: Future
    score: float
    utopia: Utopia

    @property
    def bound(self) -> float:
        """Return what no schedule's score can be below."""
        return 1.0


def utopia(now: Round) -> Utopia:
    """Return the proven best of each term alone."""
    return Utopia(mean_s=max(mean_completion_s(now), 1e-9), cost_usd=max(cheapest_usd(now), 1e-9))


def weights(objective: Objective) -> tuple[float, float]:
    """Return what cost and latency weigh against each other; what the objective leaves out still breaks ties."""
    cost, latency, _, _ = objective.shares()
    total = max(cost + latency, 1e-9)
    return max(cost / total, _TIE_COST), max(latency / total, _TIE_LATENCY)


def score_of(future: Future, objective: Objective, best: Utopia, horizon_s: float) -> float:
    """Return the weighed terms, each over its best; lateness costs more than any term can gain."""
    cost, latency = weights(objective)
    terms = (cost * future.cost_usd / best.cost_usd + latency * future.mean_s / best.mean_s) / (cost + latency)
    return terms + _LATE * (future.late_s / max(horizon_s, 1e-9))


def search(
    now: Round, *, rollouts: int, polish: int, start: Knobs | None = None, factor: FloatArray | None = None
) -> Found:
    """Return the best knobs of `rollouts` settings, then of `polish` changes to the keys of one to three jobs.

    `start` and `factor` are what an earlier search found for these jobs: then only their neighbourhood is searched.
    """
    rng = np.random.default_rng((now.seed, len(now.numbers)))
    best_of = utopia(now)
    horizon_s = float(now.left_s[np.isfinite(now.left_s)].max(initial=1.0))
    pool: list[tuple[float, int, Knobs, Future]] = []
    margin_s = _MARGIN_ROUNDS * now.round_s
    at_large = rollouts // 3 if start is None else 0
    for step in range(max(1, rollouts)):
        if step == 0:
            knobs = start or preset(now.objective, now.price_usd_per_h)
        elif step < at_large:
            knobs = drawn(rng, len(now.capacity), now.price_usd_per_h)
        else:
            knobs = turned(pool[int(rng.integers(min(_PARENTS, len(pool))))][2], rng)
        future = rollout(now, knobs, factor, margin_s=margin_s)
        pool.append((score_of(future, now.objective, best_of, horizon_s), step, knobs, future))
        pool.sort(key=lambda entry: entry[:2])
        del pool[_KEPT:]
    score, _, knobs, future = pool[0]
    factor = np.ones(len(now.numbers)) if factor is None else factor
    for _ in range(polish):
        changed = factor.copy()
        picked = rng.choice(len(factor), min(len(factor), int(rng.integers(1, 4))), replace=False)
        changed[picked] *= np.exp(rng.normal(0.0, _SPREAD, len(picked)))
        other = rollout(now, knobs, changed, margin_s=margin_s)
        other_score = score_of(other, now.objective, best_of, horizon_s)
        if other_score <= score:
            score, factor, future = other_score, changed, other
    return Found(knobs=knobs, factor=factor, future=future, score=score, utopia=best_of)
