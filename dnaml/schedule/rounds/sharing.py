"""Co-location: after a round has placed its jobs alone, two of them share their units where that was measured to pay.

A pair is worth what it brings the objective per second ("space sharing" of "Heterogeneity-Aware Cluster Scheduling
Policies", Narayanan and others, 2020): what both get done together, less what each got done before, and the units that
become free. The best pairs are joined first, free units go to jobs that wait, and so on until no pair gains anything.
"""

from dataclasses import replace

import numpy as np

from dnaml.schedule.rounds.round import NONE, Allocation, BoolArray, FloatArray, IntArray, Round
from dnaml.schedule.rounds.search import weights
from dnaml.schedule.rounds.simple import start_waiting
from dnaml.schedule.rounds.together import ALONE, Together

_MOST_PAIRS = 4_000_000
"""looked at in one sweep; beyond it the jobs with the least left are asked first"""
_PATIENCE = 0.1
"""a pair of before counts for so much more than a new one, so that equal ones do not change places"""
_LASTS_ROUNDS = 10
"""a new pair is expected to last so long when what a move costs is weighed"""
_SPARE = 0.8
"""a job with a deadline shares only while it then needs at most this share of the time that is left to it"""


def shared(now: Round, alone: Allocation) -> Allocation:
    """Return the allocation with jobs joined on the same units where the objective gains by it."""
    if now.together is None:
        return alone
    joining = _Joining(now, now.together, alone.choice)
    while joining.join():
        joining.offer()
    return replace(alone, choice=joining.choice, partner=joining.partner)


class _Joining:
    """The pairs of one round as they are found."""

    def __init__(self, now: Round, together: Together, choice: IntArray) -> None:
        self._now, self._together = now, together
        self.choice, self.partner = choice.copy(), np.full(len(choice), ALONE, dtype=np.int64)
        cost, latency = weights(now.objective)
        able = now.feasible
        self._left_s = np.where(able, now.left_s, np.inf)
        best_s, least_usd = _least(now.left_s, able), _least(now.usd_left, able)
        per_s = latency / max(float(best_s.sum()), 1e-9)
        per_usd = cost / max(float(least_usd.sum()), 1e-9)
        self._gain = (per_s * best_s + per_usd * least_usd)[:, None] / np.maximum(self._left_s, 1e-9)  # [J, K] a second
        self._price = per_usd * now.usd_per_s  # [J, K] a second
        self._whole = per_s * self._left_s + per_usd * now.usd_left  # [J, K]
        self._spare_s = now.deadline_s - now.at_s

    def join(self) -> bool:
        """Join the best pairs of jobs that are alone; say whether there was any."""
        hosts, others, gain = self._gains()
        rows, columns = np.nonzero(gain > 0)
        order = np.argsort(-gain[rows, columns], kind="stable")
        numbers, taken = self._now.numbers, np.zeros(len(self.choice), dtype=bool)
        for host, other in zip(hosts[rows[order]].tolist(), others[columns[order]].tolist(), strict=True):
            if not (taken[host] or taken[other]):
                taken[[host, other]] = True
                self.choice[other] = self.choice[host]
                self.partner[host], self.partner[other] = numbers[other], numbers[host]
        return bool(len(order))

    def offer(self) -> None:
        """Give units that became free to jobs that wait, those of least cost first."""
        now, later = self._now, (self.partner != ALONE) & (self.partner < self._now.numbers)
        room = now.capacity.copy()
        np.add.at(room, now.pool[self.choice[later]], now.units[later, self.choice[later]])
        order = np.argsort(self._whole.min(axis=1, initial=np.inf), kind="stable")
        self.choice = start_waiting(replace(now, held=self.choice, capacity=room), order, self._whole)

    def _gains(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return the jobs [H] whose units may be joined, those [G] that may join, and the gain a second [H, G]."""
        now, known = self._now, (self._together.kind >= 0) & (self.partner == ALONE)
        hosts = np.flatnonzero(known & (self.choice != NONE))
        others = np.flatnonzero(known & now.feasible.any(axis=1))
        most = _MOST_PAIRS // max(1, len(hosts))
        if len(others) > most:
            others = np.sort(others[np.argsort(self._left_s[others].min(axis=1), kind="stable")[:most]])
        h, g = hosts[:, None], others[None, :]
        k, before = self.choice[h], self.choice[g]
        kept = self._together.speeds(h, g, k)
        gain = (kept[..., 0] - 1.0) * self._gain[h, k] + kept[..., 1] * self._gain[g, k]
        runs = before != NONE
        gain -= np.where(runs, self._gain[g, before] - self._price[g, before], 0.0)
        may = (kept[..., 0] > 0) & now.feasible[g, k] & (now.units[h, k] == now.units[g, k])
        may &= self._in_time(h, k, k, kept[..., 0]) & (~runs | self._in_time(g, before, k, kept[..., 1]))
        return hosts, others, np.where(may, gain * self._lasting(h, g, k), -np.inf)

    def _lasting(self, hosts: IntArray, others: IntArray, columns: IntArray) -> FloatArray:
        """Return by how much the gain of a pair counts: less for one that has to restart first."""
        now = self._now
        lasts_s = np.clip(self._left_s[others, columns], 1e-9, _LASTS_ROUNDS * now.round_s or None)
        same = now.numbers[others] == self._together.partner[hosts]
        lasting: FloatArray = np.where(same, 1.0 + _PATIENCE, lasts_s / (lasts_s + now.restart_s[others]))
        return lasting

    def _in_time(self, rows: IntArray, before: IntArray, after: IntArray, kept: FloatArray) -> BoolArray:
        """Say which rows miss no deadline by sharing that they would meet where they are."""
        spare_s = self._spare_s[rows]
        with np.errstate(divide="ignore"):
            then_s = self._left_s[rows, after] / kept
        fine: BoolArray = (self._left_s[rows, before] > spare_s) | (then_s <= _SPARE * spare_s)
        return fine


def _least(values: FloatArray, able: BoolArray) -> FloatArray:
    """Return the least possible value of each job [J], 0 of one that can run nowhere."""
    least: FloatArray = np.where(able, values, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least), least, 0.0)
