"""What holds which units of a simulation: gangs start, end, fail and share, and every unit held is paid once."""

import heapq
import math
from enum import IntEnum
from itertools import count

import numpy as np

from dnaml.datasets.traces.trace import Trace, TraceJob
from dnaml.schedule.rounds.round import NONE, BoolArray, FloatArray, IntArray
from dnaml.simulation.settings import Settings
from dnaml.simulation.table import JobTable
from dnaml.simulation.tally import Outcome, Span, Tally

_MOST_STARTS = 10_000  # of one job, after which a further failure is its last


class Due(IntEnum):
    """Is what an event of the future will be."""

    END = 0  # a job is done
    FAIL = 1  # units break under a job
    CHANGE = 2  # a pool changes its size or its price


class Gangs:
    """The jobs that run, on their units; `due` is the heap of events that will come of it.

    Two jobs that share their units go on at the speeds that were measured of the pair, pay half of the units each, and
    fail together. Of the two the later one is the guest: it moves when the pair ends, unless the other is gone.
    """

    def __init__(self, trace: Trace, settings: Settings) -> None:
        self.table, self.tally = JobTable(len(trace.pool)), Tally(unit_s=[0.0] * len(trace.resources))
        self.due: list[tuple[float, int, int, int, int]] = []
        self.rng = np.random.default_rng(settings.seed)
        self.running = 0
        self.price_usd_per_h = np.array([resource.price_usd_per_h or 0.0 for resource in trace.resources])
        self.kept: FloatArray | None = None
        self._settings = settings
        self._order = count()
        self._ids = [resource.id for resource in trace.resources]
        self._pool_of: list[int] = np.asarray(trace.pool).tolist()
        self._power_w = [resource.power_w or 0.0 for resource in trace.resources]
        self._measured = trace.measured or (0, math.inf)
        self._kinds: dict[str, int] = {}
        if settings.colocation is not None:
            self.kept = settings.colocation.array(self._ids, np.asarray(trace.pool))
            self._kinds = {kind: i for i, kind in enumerate(settings.colocation.kinds)}
        self._unit_bytes = [
            math.inf if resource.memory_bytes is None else resource.memory_bytes / max(1, resource.slots)
            for resource in trace.resources
        ]

    def add(self, number: int, job: TraceJob) -> int:
        """Take a job in that waits, and return its row."""
        own = job.restart_s if self._settings.own_restarts else None
        row = self.table.add(number, job, self._settings.restart_s if own is None else own)
        if self.kept is not None:
            self.table.kind[row] = self._kinds.get(job.kind, NONE)
            self.table.fill[row] = [
                (job.memory_bytes or 0) / (units * self._unit_bytes[m])
                for units, m in zip(job.units.tolist(), self._pool_of, strict=True)
            ]
        return row

    def plan(self, at_s: float, kind: Due, which: int, epoch: int = 0) -> None:
        """Let something happen at a time, unless the row's epoch has passed by then."""
        heapq.heappush(self.due, (at_s, next(self._order), kind, which, epoch))

    def carry_out(self, rows: IntArray, choice: IntArray, partner: IntArray | None, now_s: float) -> None:
        """Let rows [J] hold the configurations chosen for them [J], beside the rows of their partners [J], if any.

        A job that keeps its configuration moves all the same where it is the guest of a new pair, or was the guest of a
        pair whose host stays on the units that they shared.
        """
        moves = choice != self.table.held[rows]
        if partner is not None:
            moves |= self._regrouped(rows, partner, moves, now_s)
        changed = moves.nonzero()[0]
        moved = list(zip(rows[changed].tolist(), choice[changed].tolist(), strict=True))
        for row, _ in moved:
            if self.table.held.item(row) != NONE:
                self.stop(row, now_s)
        for row, column in moved:
            if column != NONE:
                self.start(row, column, now_s)
        if partner is not None:
            self._join_all(rows, partner, now_s)

    def _join_all(self, rows: IntArray, partner: IntArray, now_s: float) -> None:
        for i in (partner != NONE).nonzero()[0].tolist():
            if self.table.partner[rows[i]] == NONE:
                self._join(int(rows[i]), int(partner[i]), now_s)

    def _regrouped(self, rows: IntArray, partner: IntArray, leaves: BoolArray, now_s: float) -> BoolArray:
        """Part the pairs that do not go on; return which rows [J] move though they keep their configuration."""
        table, there = self.table, np.zeros(len(self.table.number), dtype=bool)
        moved = np.zeros_like(there)
        there[rows] = ~leaves
        before = table.partner[rows]
        goes_on = (before == partner) & there[rows] & there[before]
        moved[rows] = ~leaves & ~goes_on & (partner != NONE) & (table.number[rows] > table.number[partner])
        was_guest = (before != NONE) & ~goes_on & (table.number[rows] > table.number[before])
        moved[rows] |= ~leaves & was_guest & there[before] & ~moved[before]
        for row in rows[(before != NONE) & ~goes_on].tolist():
            self._part(row, now_s)
        again: BoolArray = moved[rows]
        return again

    # -- starting and stopping -----------------------------------------------------------------------------------------

    def start(self, row: int, column: int, now_s: float) -> None:
        """Let a waiting job hold a configuration, alone."""
        table, disturbances = self.table, self._settings.disturbances
        stretch = self._settings.stretch
        if disturbances.straggler_share and self.rng.random() < disturbances.straggler_share:
            stretch *= disturbances.straggler_factor
        table.held[row] = column
        table.since_s[row] = now_s
        table.ready_s[row] = now_s + table.restart_s.item(row)
        table.stretch[row] = stretch
        table.sealed[row] = table.undone[row]
        self.running += 1
        self.tally.events += 1
        self.tally.starts += 1
        if not table.starts[row]:
            table.first_s[row] = now_s
            self.tally.changes += 1
        table.starts[row] += 1
        self._go_on(row, now_s)

    def _go_on(self, row: int, now_s: float) -> None:
        """Plan the end of a running job at its present speed, or the failure of its units if that comes before."""
        table, disturbances = self.table, self._settings.disturbances
        column, epoch = table.held.item(row), table.epoch.item(row)
        end_s = table.ready_s.item(row) + table.stretch.item(row) * table.seconds_left(row, column)
        table.end_s[row] = end_s
        self.plan(end_s, Due.END, row, epoch)
        if disturbances.failures_per_h and not table.is_guest(row):
            rate_per_s = disturbances.failures_per_h * table.units.item(row, column) / 3600.0
            fails_s = now_s + float(self.rng.exponential(1.0 / rate_per_s))
            if fails_s < end_s:
                self.plan(fails_s, Due.FAIL, row, epoch)

    def stop(self, row: int, now_s: float) -> None:
        """Let a job wait with what is undone of it now; whom it shared with goes on alone."""
        undone = self.table.left_of(row, now_s)
        self._let_go(row, now_s)
        self.table.undone[row] = undone

    def _let_go(self, row: int, now_s: float) -> None:
        self._part(row, now_s)
        self._settle(row, now_s)
        table = self.table
        table.held[row] = NONE
        table.end_s[row] = math.inf
        table.epoch[row] += 1
        self.running -= 1
        self.tally.events += 1

    # -- sharing -------------------------------------------------------------------------------------------------------

    def _join(self, row: int, other: int, now_s: float) -> None:
        """Let two running jobs of the same configuration share the same units from now on."""
        assert self.kept is not None  # the policy's answer was checked
        kind, column = self.table.kind, self.table.held.item(row)
        self._turn(row, other, float(self.kept[kind[row], kind[other], column]), now_s)
        self._turn(other, row, float(self.kept[kind[other], kind[row], column]), now_s)

    def _part(self, row: int, now_s: float) -> None:
        """Let a job and whom it shares with, if anybody, have units of their own from now on."""
        other = self.table.partner.item(row)
        if other != NONE:
            self._turn(row, NONE, 1.0, now_s)
            self._turn(other, NONE, 1.0, now_s)

    def _turn(self, row: int, partner: int, kept: float, now_s: float) -> None:
        """Let a running job keep that share of its speed alone, beside a partner or none, from now on."""
        table = self.table
        undone, sealed = table.left_of(row, now_s), self._sealed(row, now_s)
        self._settle(row, now_s)
        table.undone[row], table.sealed[row] = undone, sealed
        table.ready_s[row] = max(now_s, table.ready_s.item(row))
        table.stretch[row] *= table.kept[row] / kept
        table.kept[row], table.partner[row] = kept, partner
        table.epoch[row] += 1
        self._go_on(row, now_s)

    # -- ends and failures ---------------------------------------------------------------------------------------------

    def end(self, row: int, now_s: float) -> None:
        """Let a job be done: count what it reached and forget it."""
        table, tally = self.table, self.tally
        self._part(row, now_s)
        self._settle(row, now_s)
        self.running -= 1
        job = table.job(row)
        tally.ended += 1
        tally.last_end_s = now_s
        number = table.number.item(row)
        first, after = self._measured
        if first <= number < after:
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

    def fail(self, row: int, now_s: float) -> None:
        """Take its units away from a job and from whom it shares them with: what was done since the last checkpoint
        is lost."""
        other = self.table.partner.item(row)
        self.tally.failures += 1
        sealed = {one: self._sealed(one, now_s) for one in (row, other) if one != NONE}
        for one, undone in sealed.items():
            self._let_go(one, now_s)
            self.table.undone[one] = undone
            if self.table.starts[one] >= _MOST_STARTS:
                self.tally.unplaced[self.table.job(one).id] = (
                    f"it was given up after {_MOST_STARTS} starts: failures leave it no time to end"
                )
                self.table.remove(one)

    def _sealed(self, row: int, now_s: float) -> float:
        """Return what is undone of a job as of its last checkpoint, or as of its start."""
        table, every_s = self.table, self._settings.checkpoint_every_s
        elapsed_s = now_s - table.ready_s.item(row)
        if every_s is None or elapsed_s <= 0:
            return table.sealed.item(row)
        apart_s = every_s * self._settings.stretch
        written = elapsed_s // apart_s
        if not written:
            return table.sealed.item(row)
        return table.left_of(row, table.ready_s.item(row) + written * apart_s)

    # -- paying --------------------------------------------------------------------------------------------------------

    def settle_all(self, rows: list[int], now_s: float) -> None:
        """Pay for what some running jobs held until now, before a price changes."""
        for row in rows:
            self._settle(row, now_s)

    def _settle(self, row: int, now_s: float) -> None:
        """Pay for what a job held until now; of two that share each pays half."""
        table, tally = self.table, self.tally
        column, partner = table.held.item(row), table.partner.item(row)
        since_s = table.since_s.item(row)
        held_s = now_s - since_s
        m, units = self._pool_of[column], table.units.item(row, column)
        unit_s = units * held_s * (1.0 if partner == NONE else 0.5)
        tally.unit_s[m] += unit_s
        tally.cost_usd += unit_s * self.price_usd_per_h.item(m) / 3600.0
        tally.energy_j += unit_s * self._power_w[m]
        table.served_s[row, column] += held_s
        table.since_s[row] = now_s
        if held_s <= 0:
            return
        if partner != NONE:
            tally.shared_unit_s += unit_s
        if self._settings.keep:
            beside = None if partner == NONE else table.job(partner).id
            span = Span(
                job_id=table.job(row).id,
                resource_id=self._ids[m],
                units=units,
                began_s=since_s,
                ended_s=now_s,
                beside=beside,
                kept=table.kept.item(row),
            )
            tally.spans.append(span)
