"""The family plays its own future: the jobs at hand with their predicted runtimes, no arrivals, until the last ends."""

from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.knobs import Knobs
from dnaml.schedule.rounds.priced import Ranking
from dnaml.schedule.rounds.round import NONE, BoolArray, FloatArray, Round, relative

_REFRESH = 10
_STEPS = 200  # decisions without an event in a future, about: a long one is looked at more coarsely
_DEFAULT_ROUND_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Future:
    """What a rollout came to: weighted `mean_s` of completion from arrival, the last end from now, money, lateness.

    `late_share` is the share of jobs that miss their deadline, `late_s` the largest delay beyond one.
    """

    mean_s: float
    span_s: float
    cost_usd: float
    late_share: float
    late_s: float


def rollout(now: Round, knobs: Knobs, factor: FloatArray | None = None, *, margin_s: float = 0.0) -> Future:
    """Return what the family comes to with these knobs if the predictions are right; jobs that cannot run are left.

    Lateness counts from `margin_s` before each deadline.
    """
    ranking = Ranking(now, knobs, factor)
    able = np.isfinite(ranking.best_s)
    undone, held = np.ones(len(able)), now.held.copy()
    ends_s = np.full(len(able), np.nan)
    usd_per_s = now.usd_per_s
    round_s = now.round_s or _DEFAULT_ROUND_S
    at_s, cost_usd = now.at_s, 0.0
    refresh = max(_REFRESH, int(np.ceil(_span_s(now, ranking, able) / round_s / _STEPS)))
    active = np.flatnonzero(able)
    while len(active):
        choice = np.array(ranking.place(active, undone[active], at_s), dtype=np.int64)
        running = choice != NONE
        rows, columns = active[running], choice[running]  # never empty: the first in line always fits
        overhead_s = np.where(columns != held[rows], now.restart_s[rows], 0.0)
        held[active] = choice
        left_s = ranking.left_s[rows, columns]
        need_s = undone[rows] * left_s + overhead_s
        rounds = min(refresh, max(1, int(np.ceil(need_s.min() / round_s))))
        step_s = rounds * round_s
        spent_s = np.minimum(need_s, step_s)
        cost_usd += float((spent_s * usd_per_s[rows, columns]).sum())
        undone[rows] -= np.maximum(0.0, spent_s - overhead_s) / left_s
        ended = need_s <= step_s
        ends_s[rows[ended]] = at_s + need_s[ended]
        at_s += step_s
        if ended.any():
            active = active[~np.isin(active, rows[ended])]
    return _future(now, ends_s, cost_usd, margin_s)


def _span_s(now: Round, ranking: Ranking, able: BoolArray) -> float:
    """Return about how long it all takes: the longest job, or all their work on all units if that is more."""
    work_s = (ranking.left_s * now.units)[able].min(axis=1, initial=np.inf).sum() / max(1, int(now.capacity.sum()))
    return float(max(ranking.best_s[able].max(initial=0.0), work_s))


def _future(now: Round, ends_s: FloatArray, cost_usd: float, margin_s: float) -> Future:
    known = np.isfinite(ends_s)
    if not known.any():
        return Future(mean_s=0.0, span_s=0.0, cost_usd=0.0, late_share=0.0, late_s=0.0)
    beyond_s = ends_s[known] - now.deadline_s[known] + margin_s
    return Future(
        mean_s=float(((ends_s[known] - now.arrived_s[known]) * relative(now.weight[known])).mean()),
        span_s=float(ends_s[known].max() - now.at_s),
        cost_usd=cost_usd,
        late_share=float((beyond_s > 0).mean()),
        late_s=float(max(0.0, beyond_s.max())),
    )
