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
from dnaml.schedule.rounds.round import NONE, RoundPolicy, check
from dnaml.simulation.settings import Change, Settings
from dnaml.simulation.table import JobTable
from dnaml.simulation.tally import Outcome, Span, Tally
from dnaml.simulation.view import Frame, look

_END, _FAIL, _CHANGE = 0, 1, 2
_MOST_STARTS = 10_000  # of one job, after which a further failure is its last
Move = tuple[int, int, int]


class Simulation:
    """One replay of a trace under a policy; `run` goes through it once and returns what it counted."""

    def __init__(self, trace: Trace, policy: RoundPolicy, settings: Settings) -> None:
        self._trace, self._policy, self._settings = trace, policy, settings
        self._ids = [resource.id for resource in trace.resources]
        self._pool = np.asarray(trace.pool, dtype=np.int64)
        self._pool_of = self._pool.tolist()
        self._capacity = np.array([resource.slots for resource in trace.resources], dtype=np.int64)
        self._largest: list[int] = self._capacity.tolist()
        self._price = np.array([resource.price_usd_per_h or 0.0 for resource in trace.resources])
        self._power_w = [resource.power_w or 0.0 for resource in trace.resources]
        self._table = JobTable(len(self._pool))
        self._tally = Tally(unit_s=[0.0] * len(self._ids))
        self._rng = np.random.default_rng(settings.seed)
        self._heap: list[tuple[float, int, int, int, int]] = []
        self._order = count()
        self._memory: object = None
        self._running = 0
        self._round_s = trace.round_s if settings.round_s is None else settings.round_s
        for number, change in enumerate(settings.disturbances.changes):
            if change.resource_id not in self._ids:
                raise InputError(f"a change names {change.resource_id!r}; the pools are {', '.join(self._ids)}")
            heapq.heappush(self._heap, (change.at_s, next(self._order), _CHANGE, number, 0))
            if change.slots is not None:
                m = self._ids.index(change.resource_id)
                self._largest[m] = max(self._largest[m], change.slots)

    def run(self) -> Tally:
        """Replay the whole trace."""
        began_s = time.process_time()
        arrivals = iter(self._trace.jobs)
        upcoming = next(arrivals, None)
        heap, tally, numbers = self._heap, self._tally, count()
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
            job = self._table.jobs[row]
            assert job is not None
            tally.unplaced[job.id] = f"the policy {self._policy.name} left it waiting with nothing else to do"
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
        own = job.restart_s if self._settings.own_restarts else None
        row = self._table.add(number, job, self._settings.restart_s if own is None else own)
        told = self._settings.believe
        sd = self._settings.disturbances.error_sd
        if told is not None:
            with np.errstate(invalid="ignore"):
                ratio = told(job) / job.runtime_s
            self._table.told[row] = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)
        elif sd:
            self._table.told[row] = np.exp(self._rng.normal(0.0, sd, len(self._pool)))
        return True

    def _why_never(self, job: TraceJob) -> str:
        if not np.isfinite(job.runtime_s).any():
            return "it can run in no configuration"
        least = int(job.units[np.isfinite(job.runtime_s)].min())
        return f"its smallest gang of {least} is larger than every pool it can run on"

    def _happen(self, now_s: float, kind: int, which: int, epoch: int) -> bool:
        """Let a due event happen; return whether it was still valid."""
        if kind == _CHANGE:
            self._change(now_s, self._settings.disturbances.changes[which])
            return bool(self._table.active)
        if self._table.epoch[which] != epoch:
            self._tally.events -= 1
            return False
        if kind == _END:
            self._end(which, now_s)
        else:
            self._fail(which, now_s)
        return True

    def _end(self, row: int, now_s: float) -> None:
        table, tally = self._table, self._tally
        self._settle(row, now_s)
        self._running -= 1
        job = table.jobs[row]
        assert job is not None
        tally.ended += 1
        tally.last_end_s = now_s
        number = table.number.item(row)
        first, stop = self._trace.measured or (0, math.inf)
        if first <= number < stop:
            tally.late += now_s > job.deadline_s
            if not self._settings.keep:
                tally.durations.add(now_s - job.arrival_s)
        if self._settings.keep:
            tally.outcomes.append(
                Outcome(
                    id=job.id,
                    number=number,
                    arrived_s=job.arrival_s,
                    started_s=table.first_s.item(row),
                    ended_s=now_s,
                    deadline_s=job.deadline_s,
                    starts=table.starts.item(row),
                )
            )
        table.remove(row)

    def _fail(self, row: int, now_s: float) -> None:
        """Take a gang away from its job: what was done since the last checkpoint is lost."""
        table, every_s = self._table, self._settings.checkpoint_every_s
        self._tally.failures += 1
        elapsed_s = now_s - table.ready_s.item(row)
        if every_s is not None and elapsed_s > 0:
            sealed_s = table.ready_s.item(row) + elapsed_s // (every_s * self._settings.stretch) * every_s * (
                self._settings.stretch
            )
            undone = table.left_of(row, sealed_s)
        else:
            undone = table.undone.item(row)
        self._stop(row, now_s)
        table.undone[row] = undone
        if table.starts[row] >= _MOST_STARTS:
            job = table.jobs[row]
            assert job is not None
            self._tally.unplaced[job.id] = (
                f"it was given up after {_MOST_STARTS} starts: failures leave it no time to end"
            )
            table.remove(row)

    def _change(self, now_s: float, change: Change) -> None:
        m = self._ids.index(change.resource_id)
        on_pool = [row for row in self._table.active if (k := self._table.held.item(row)) >= 0 and self._pool[k] == m]
        if change.price_usd_per_h is not None:
            for row in on_pool:
                self._settle(row, now_s)
            self._price[m] = change.price_usd_per_h
        if change.slots is not None:
            self._capacity[m] = change.slots
            used = sum(int(self._table.units[row, self._table.held[row]]) for row in on_pool)
            newest_first = sorted(on_pool, key=lambda row: (-self._table.since_s[row], -row))
            while used > change.slots:
                row = newest_first.pop(0)
                used -= int(self._table.units[row, self._table.held[row]])
                self._fail(row, now_s)

    # -- what is decided -----------------------------------------------------------------------------------------------

    def _decide(self, now_s: float, *, waits: bool) -> float:
        """Ask the policy and carry out what it says; return when it is to be asked again if nothing changes."""
        if not self._table.active:
            return math.inf
        moves, again_rounds = self._ask(now_s)
        if moves:
            self._carry_out(moves, now_s)
        rounds = self._policy.refresh_rounds if again_rounds is None else again_rounds
        if not rounds or not self._round_s or not (self._running or waits):
            return math.inf
        return now_s + rounds * self._round_s

    def _ask(self, now_s: float) -> tuple[list[Move], int | None]:
        """Ask the policy; return row, configuration held and configuration given of each job that is to change, and
        after how many rounds it wants to be asked again if not as always."""
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
                price_usd_per_h=self._price.copy(),
                settings=self._settings,
                memory=self._memory,
            ),
        )
        allocation = self._policy.allocate(view)
        check(view, allocation)
        self._memory = allocation.memory
        if allocation.gap is not None:
            tally.worst_gap = max(allocation.gap, tally.worst_gap or 0.0)
        changed = (allocation.choice != view.held).nonzero()[0]
        given = allocation.choice[changed].tolist()
        moves = list(zip(rows[changed].tolist(), view.held[changed].tolist(), given, strict=True))
        del view
        tally.decisions += 1
        tally.decision_cpu_s += time.process_time() - began_s
        return moves, allocation.again_rounds

    def _carry_out(self, moves: list[Move], now_s: float) -> None:
        for row, before, _ in moves:
            if before != NONE:
                undone = self._table.left_of(row, now_s)
                self._stop(row, now_s)
                self._table.undone[row] = undone
        for row, _, column in moves:
            if column != NONE:
                self._start(row, column, now_s)

    def _start(self, row: int, column: int, now_s: float) -> None:
        table, disturbances = self._table, self._settings.disturbances
        stretch = self._settings.stretch
        if disturbances.straggler_share and self._rng.random() < disturbances.straggler_share:
            stretch *= disturbances.straggler_factor
        ready_s = now_s + table.restart_s.item(row)
        end_s = ready_s + stretch * table.seconds_left(row, column)
        table.held[row] = column
        table.since_s[row] = now_s
        table.ready_s[row] = ready_s
        table.stretch[row] = stretch
        table.end_s[row] = end_s
        self._running += 1
        self._tally.events += 1
        self._tally.starts += 1
        if not table.starts[row]:
            table.first_s[row] = now_s
            self._tally.changes += 1
        table.starts[row] += 1
        epoch = table.epoch.item(row)
        heapq.heappush(self._heap, (end_s, next(self._order), _END, row, epoch))
        if disturbances.failures_per_h:
            rate_per_s = disturbances.failures_per_h * table.units.item(row, column) / 3600.0
            fails_s = now_s + float(self._rng.exponential(1.0 / rate_per_s))
            if fails_s < end_s:
                heapq.heappush(self._heap, (fails_s, next(self._order), _FAIL, row, epoch))

    def _stop(self, row: int, now_s: float) -> None:
        """Let a job wait; its undone share is the caller's to set."""
        self._settle(row, now_s)
        table = self._table
        table.held[row] = NONE
        table.end_s[row] = math.inf
        table.epoch[row] += 1
        self._running -= 1
        self._tally.events += 1

    def _settle(self, row: int, now_s: float) -> None:
        """Pay for what a job held until now."""
        table, tally = self._table, self._tally
        column = table.held.item(row)
        since_s = table.since_s.item(row)
        held_s = now_s - since_s
        m, units = self._pool_of[column], table.units.item(row, column)
        unit_s = units * held_s
        tally.unit_s[m] += unit_s
        tally.cost_usd += unit_s * self._price.item(m) / 3600.0
        tally.energy_j += unit_s * self._power_w[m]
        table.served_s[row, column] += held_s
        table.since_s[row] = now_s
        if self._settings.keep and held_s > 0:
            job = table.jobs[row]
            assert job is not None
            tally.spans.append(
                Span(job_id=job.id, resource_id=self._ids[m], units=units, began_s=since_s, ended_s=now_s)
            )
