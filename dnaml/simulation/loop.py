"""The event loop: arrivals, ends, failures and changes in order of time, and a decision when something changed.

Events take effect at their own moment; a decision falls on the next round (at once where rounds are 0 s long). The
policy sees only a `Round`. Equal input and seed give an equal run, whatever the machine.
"""

import heapq
import math
import time
from itertools import count

import numpy as np

from dnaml.core.errors import InputError
from dnaml.datasets.traces.trace import Trace, TraceJob
from dnaml.schedule.rounds.round import NONE, Allocation, FloatArray, IntArray, RoundPolicy, check
from dnaml.schedule.rounds.together import ALONE
from dnaml.simulation.gangs import Due, Gangs
from dnaml.simulation.settings import Change, Settings
from dnaml.simulation.tally import Tally
from dnaml.simulation.view import Frame, look


class Simulation:
    """One replay of a trace under a policy; `run` goes through it once and returns what it counted."""

    def __init__(self, trace: Trace, policy: RoundPolicy, settings: Settings) -> None:
        self._trace, self._policy, self._settings = trace, policy, settings
        self._ids = [resource.id for resource in trace.resources]
        self._pool = np.asarray(trace.pool, dtype=np.int64)
        self._pool_of = self._pool.tolist()
        self._capacity = np.array([resource.slots for resource in trace.resources], dtype=np.int64)
        self._largest: list[int] = self._capacity.tolist()
        self._gangs = Gangs(trace, settings)
        self._table, self._tally = self._gangs.table, self._gangs.tally
        self._misled = settings.believe is not None or settings.disturbances.error_sd > 0
        self._memory: object = None
        self._round_s = trace.round_s if settings.round_s is None else settings.round_s
        for number, change in enumerate(settings.disturbances.changes):
            if change.resource_id not in self._ids:
                raise InputError(f"a change names {change.resource_id!r}; the pools are {', '.join(self._ids)}")
            self._gangs.plan(change.at_s, Due.CHANGE, number)
            if change.slots is not None:
                m = self._ids.index(change.resource_id)
                self._largest[m] = max(self._largest[m], change.slots)

    def run(self) -> Tally:
        """Replay the whole trace."""
        began_s = time.process_time()
        arrivals = iter(self._trace.jobs)
        upcoming = next(arrivals, None)
        heap, tally, numbers = self._gangs.due, self._tally, count()
        due_s, now_s, origin_s, decided_s = math.inf, 0.0, 0.0, -math.inf
        while True:
            next_s = heap[0][0] if heap else math.inf
            if upcoming is not None and upcoming.arrival_s < next_s:
                next_s = upcoming.arrival_s
            if next_s > due_s:
                now_s = decided_s = due_s
                due_s = self._decide(now_s, waits=upcoming is not None or bool(heap))
                continue
            if next_s == math.inf:
                break
            now_s = next_s
            tally.events += 1
            if upcoming is not None and upcoming.arrival_s <= now_s:
                if not self._table.active:
                    origin_s = now_s
                happened = self._arrive(next(numbers), upcoming)
                following = next(arrivals, None)
                if following is not None and following.arrival_s < upcoming.arrival_s:
                    raise InputError(f"{following.id}: jobs must come by arrival, {following.arrival_s} is in the past")
                upcoming = following
            else:
                _, _, kind, which, epoch = heapq.heappop(heap)
                happened = self._happen(now_s, kind, which, epoch)
            if happened:
                due_s = min(due_s, self._next_round(now_s, origin_s, decided_s))
        for row in self._table.active:
            why = f"the policy {self._policy.name} left it waiting with nothing else to do"
            tally.unplaced[self._table.job(row).id] = why
        tally.cpu_s = time.process_time() - began_s
        return tally

    def _next_round(self, now_s: float, origin_s: float, decided_s: float) -> float:
        """Return when a change at this moment is answered."""
        if not self._round_s:
            return now_s
        rounds = math.ceil((now_s - origin_s) / self._round_s - 1e-9)
        at_s = origin_s + rounds * self._round_s
        return at_s if at_s > decided_s else at_s + self._round_s

    # -- what happens by itself ----------------------------------------------------------------------------------------

    def _arrive(self, number: int, job: TraceJob) -> bool:
        if not number:
            self._tally.first_arrival_s = job.arrival_s
        wanted = zip(job.runtime_s.tolist(), job.units.tolist(), self._pool_of, strict=True)
        if not any(runtime_s < math.inf and units <= self._largest[m] for runtime_s, units, m in wanted):
            self._tally.unplaced[job.id] = self._why_never(job)
            return False
        try:
            told = self._told(job) if self._misled else None
        except Exception as error:  # noqa: BLE001 - an edge: a predictor is anybody's code, and the others go on
            self._tally.unplaced[job.id] = f"its runtimes could not be predicted: {type(error).__name__}: {error}"
            return False
        row = self._gangs.add(number, job)
        if told is not None:
            self._table.told[row] = told
        return True

    def _told(self, job: TraceJob) -> FloatArray:
        """Return by what factor [K] the runtimes that the policy is told are wrong; inf where it is told none."""
        sd, count = self._settings.disturbances.error_sd, len(self._pool)
        if self._settings.believe is None:
            return np.exp(self._gangs.rng.normal(0.0, sd, count))
        told_s = np.asarray(self._settings.believe(job), dtype=float)
        if told_s.shape != (count,):
            raise InputError(f"a predictor must give {count} runtimes, one a configuration, got {told_s.shape}")
        sane = np.isfinite(told_s) & (told_s > 0)
        if not (sane & np.isfinite(job.runtime_s)).any():
            raise InputError(f"no runtime is a positive number where the job can run, got {told_s.tolist()}")
        real = np.isfinite(job.runtime_s) & (job.runtime_s > 0)
        return np.where(real, np.where(sane, told_s, np.inf) / np.where(real, job.runtime_s, 1.0), 1.0)

    def _why_never(self, job: TraceJob) -> str:
        if not np.isfinite(job.runtime_s).any():
            return "it can run in no configuration"
        least = int(job.units[np.isfinite(job.runtime_s)].min())
        return f"its smallest gang of {least} is larger than every pool it can run on"

    def _happen(self, now_s: float, kind: int, which: int, epoch: int) -> bool:
        """Let a due event happen; return whether it was still valid."""
        if kind == Due.CHANGE:
            self._change(now_s, self._settings.disturbances.changes[which])
            return bool(self._table.active)
        if self._table.epoch[which] != epoch:
            self._tally.events -= 1
            return False
        if kind == Due.END:
            self._gangs.end(which, now_s)
        else:
            self._gangs.fail(which, now_s)
        return True

    def _change(self, now_s: float, change: Change) -> None:
        table, m = self._table, self._ids.index(change.resource_id)
        on_pool = [row for row in table.active if (k := table.held.item(row)) >= 0 and self._pool_of[k] == m]
        if change.price_usd_per_h is not None:
            self._gangs.settle_all(on_pool, now_s)
            self._gangs.price_usd_per_h[m] = change.price_usd_per_h
        if change.slots is not None:
            self._capacity[m] = change.slots
            owners = [row for row in on_pool if not table.is_guest(row)]
            used = sum(int(table.units[row, table.held[row]]) for row in owners)
            newest_first = sorted(owners, key=lambda row: (-table.since_s[row], -row))
            while used > change.slots:
                row = newest_first.pop(0)
                used -= int(table.units[row, table.held[row]])
                self._gangs.fail(row, now_s)

    # -- what is decided -----------------------------------------------------------------------------------------------

    def _decide(self, now_s: float, *, waits: bool) -> float:
        """Ask the policy and carry out what it says; return when it is to be asked again if nothing changes."""
        if not self._table.active:
            return math.inf
        rows, allocation, partner = self._ask(now_s)
        self._gangs.carry_out(rows, allocation.choice, partner, now_s)
        again = allocation.again_rounds
        rounds = self._policy.refresh_rounds if again is None else again
        if not rounds or not self._round_s or not (self._gangs.running or waits):
            return math.inf
        return now_s + rounds * self._round_s

    def _ask(self, now_s: float) -> tuple[IntArray, Allocation, IntArray | None]:
        """Ask the policy; return the rows it was asked about, what it said, and the row of each one's partner."""
        table, tally, began_s = self._table, self._tally, time.process_time()
        rows = np.fromiter(table.active, dtype=np.int64, count=len(table.active))
        view = look(
            table,
            rows,
            now_s,
            Frame(
                round_s=self._round_s,
                pool=self._pool,
                capacity=self._capacity.copy(),
                price_usd_per_h=self._gangs.price_usd_per_h.copy(),
                settings=self._settings,
                memory=self._memory,
                kept=self._gangs.kept,
            ),
        )
        allocation = self._policy.allocate(view)
        check(view, allocation)
        self._memory = allocation.memory
        if allocation.gap is not None:
            tally.worst_gap = max(allocation.gap, tally.worst_gap or 0.0)
        partner = None
        if self._gangs.kept is not None:
            partner = np.full(len(rows), NONE)
        if partner is not None and allocation.partner is not None:
            shares = allocation.partner != ALONE
            partner[shares] = rows[np.searchsorted(view.numbers, allocation.partner[shares])]
        tally.decisions += 1
        tally.decision_cpu_s += time.process_time() - began_s
        return rows, allocation, partner
