"""The priced family: dnaml's own round policy. One key orders the jobs, one rule protects deadlines, knobs do the rest.

Urgent jobs go first, by slack, on the best-priced configuration that still meets their deadline; then the others by
rising key, each on the configuration of least key whose cost is within `fill` of its cheapest.
"""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.schedule.rounds.allox import match
from dnaml.schedule.rounds.knobs import Knobs
from dnaml.schedule.rounds.round import NONE, Allocation, BoolArray, FloatArray, IntArray, Round, relative

GRACE_S = 720.0
"""a job is still worth protecting when it is at most so late; without limit where most jobs have the same deadline"""
CAUTION = 0.5
"""so many standard deviations above the mean a deadline is protected for"""
_HOUR_S = 3600.0


class Ranking:
    """What the family needs of a set of jobs, computed once: their preferences do not change as they go on.

    `factor` [J] multiplies the keys of single jobs: below 1 a job comes earlier. A job of twice the weight comes as if
    it were half as long, and its soft deadline is half as far away.
    """

    def __init__(self, now: Round, knobs: Knobs, factor: FloatArray | None = None) -> None:
        allowed = now.feasible
        left_s = np.where(allowed, now.left_s, np.inf)
        prices = np.array(knobs.prices or (1.0,) * len(now.capacity))
        weight = knobs.theta + prices[now.pool] * now.units.astype(float) ** knobs.gang
        with np.errstate(invalid="ignore"):
            keys = np.where(allowed, left_s * weight, np.inf)
        dollars = now.usd_left
        least = dollars.min(axis=1, keepdims=True, initial=np.inf)
        within = allowed & (dollars <= knobs.fill * least + 1e-12)
        self.key = keys.min(axis=1, initial=np.inf) / relative(now.weight) * (1.0 if factor is None else factor)
        self.best_s = left_s.min(axis=1, initial=np.inf)
        self.preferred = _ranked(keys, within)
        self.priced = _ranked(keys, allowed)
        self.fastest = _ranked(left_s, allowed)
        self.left_s = left_s
        sure_s = left_s if now.log_sd is None else left_s * np.exp(CAUTION * now.log_sd)
        self.units = now.units.tolist()
        self.pool = now.pool.tolist()
        self.capacity = now.capacity.tolist()
        shortest_s = sure_s.min(axis=1, initial=np.inf)
        self._sure_s = sure_s
        self._shortest_s = np.where(np.isfinite(shortest_s), shortest_s, 0.0)
        longest_s = np.maximum(knobs.flow_s / relative(now.weight), self._shortest_s)
        self.deadline_s = np.minimum(now.deadline_s, now.arrived_s + longest_s)
        self._grace_s = np.where(_shared(now.deadline_s), np.inf, GRACE_S)
        self.knobs = knobs

    def urgent(self, rows: IntArray, undone: FloatArray, at_s: float) -> tuple[BoolArray, FloatArray]:
        """Return which of the rows are urgent when those shares of them are undone, and the slack of each."""
        best_s = undone * self._shortest_s[rows]
        slack_s = self.deadline_s[rows] - at_s - best_s
        knobs = self.knobs
        urgent = (slack_s < knobs.urgent_share * best_s + knobs.urgent_s) & (slack_s > -self._grace_s[rows])
        return urgent, slack_s

    def place(self, rows: IntArray, undone: FloatArray, at_s: float, *, urgent_only: bool = False) -> list[int]:
        """Return a configuration or NONE for each of the rows, whose shares `undone` are left at this time."""
        urgent, slack_s = self.urgent(rows, undone, at_s)
        late = (slack_s <= -self._grace_s[rows]).tolist()
        count = int(urgent.sum())
        order = np.lexsort((np.where(urgent, slack_s, undone * self.key[rows]), ~urgent)).tolist()
        free = list(self.capacity)
        spare = sum(free)
        chosen = [NONE] * len(rows)
        jobs = rows.tolist()
        for place, i in enumerate(order):
            if not spare or (urgent_only and place >= count):
                break
            j = jobs[i]
            wanted = self.units[j]
            if place < count:
                options = self._saving(j, undone[i], at_s)
            else:
                options = self.fastest[j] if late[i] else self.preferred[j]
            for k in options:
                m = self.pool[k]
                if free[m] >= wanted[k]:
                    free[m] -= wanted[k]
                    spare -= wanted[k]
                    chosen[i] = k
                    break
        return chosen

    def _saving(self, j: int, undone: float, at_s: float) -> list[int]:
        """Return what an urgent job tries: by key what still meets its deadline, then the fastest."""
        left_s = self._sure_s[j] * undone
        spare_s = float(self.deadline_s[j]) - at_s
        return [k for k in self.priced[j] if left_s[k] <= spare_s] + self.fastest[j]


def _shared(deadline_s: FloatArray) -> BoolArray:
    """Return whose deadline most jobs have: an end wanted for all of them, which every late hour puts off."""
    moments, counts = np.unique(deadline_s[np.isfinite(deadline_s)], return_counts=True)
    if not len(counts) or 2 * counts.max() <= len(deadline_s):
        return np.zeros(len(deadline_s), dtype=bool)
    shared: BoolArray = deadline_s == moments[counts.argmax()]
    return shared


def _ranked(cost: FloatArray, allowed: BoolArray) -> list[list[int]]:
    ranked = np.argsort(np.where(allowed, cost, np.inf), axis=1, kind="stable").tolist()
    counts = allowed.sum(axis=1).tolist()
    return [row[:count] for row, count in zip(ranked, counts, strict=True)]


def allocate(now: Round, knobs: Knobs, factor: FloatArray | None = None) -> Allocation:
    """Return what the family does in this round with these knobs."""
    ranking = Ranking(now, knobs, factor)
    rows, undone = np.arange(len(now.numbers)), np.ones(len(now.numbers))
    single = bool((now.units == 1).all())
    if knobs.money is None or not single:
        return Allocation(choice=np.array(ranking.place(rows, undone, now.at_s), dtype=np.int64))
    choice = np.array(ranking.place(rows, undone, now.at_s, urgent_only=True), dtype=np.int64)
    _match_rest(now, ranking, choice, knobs.money)
    return Allocation(choice=choice)


def _match_rest(now: Round, ranking: Ranking, choice: IntArray, money: float) -> None:
    """Give the units that urgent jobs leave to the others: the first of each unit's queue in the best matching."""
    free = now.capacity.copy()
    placed = np.flatnonzero(choice >= 0)
    np.subtract.at(free, now.pool[choice[placed]], 1)
    rest = np.flatnonzero((choice == NONE) & now.feasible.any(axis=1))
    if not len(rest) or not free.sum():
        return
    extra = money * _HOUR_S * np.where(now.feasible, now.usd_left, 0.0)
    weighed = replace(now, left_s=now.left_s / relative(now.weight)[:, None])
    columns, _, jobs = match(weighed, rest, free, extra)
    runs_s = weighed.left_s[rest[jobs], columns]
    for i in np.argsort(runs_s, kind="stable"):
        k = int(columns[i])
        if free[now.pool[k]]:
            choice[rest[jobs[i]]] = k
            free[now.pool[k]] -= 1
    for j in rest[np.argsort(ranking.key[rest], kind="stable")].tolist():
        if choice[j] != NONE or not free.any():
            continue
        for k in ranking.preferred[j]:
            if free[now.pool[k]]:
                choice[j] = k
                free[now.pool[k]] -= 1
                break


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """The family with fixed knobs."""

    knobs: Knobs
    name: str = "priced"
    refresh_rounds: int = 10

    def allocate(self, now: Round) -> Allocation:
        """Return what the family does in this round."""
        return allocate(now, self.knobs)
