"""The active jobs of a simulation as arrays with reusable rows, so that memory follows the active jobs only.

A row knows how much of its job is undone at the moment from which its speed holds; between decisions nothing is
advanced, the present is computed from the end that is due. `stretch` holds all that makes a job slower than alone.
"""

import math

import numpy as np
import numpy.typing as npt

from dnaml.datasets.traces.trace import TraceJob
from dnaml.schedule.rounds.round import LEAST_S, NONE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class JobTable:
    """Holds the active jobs. Axes: rows [N], configurations [K]; a freed row is used again."""

    def __init__(self, configurations: int) -> None:
        self.jobs: list[TraceJob | None] = []
        self.active: dict[int, None] = {}  # rows in order of arrival
        self.phased = 0
        self._free: list[int] = []
        self._columns = configurations
        self._make(64)

    def _make(self, size: int) -> None:
        k = self._columns
        self.number = np.zeros(size, dtype=np.int64)
        self.arrived_s, self.deadline_s = np.zeros(size), np.zeros(size)
        self.weight, self.restart_s = np.zeros(size), np.zeros(size)
        self.undone, self.sealed, self.stretch = np.zeros(size), np.zeros(size), np.ones(size)
        self.kind, self.partner = np.full(size, NONE, dtype=np.int64), np.full(size, NONE, dtype=np.int64)
        self.kept = np.ones(size)
        self.since_s, self.ready_s, self.first_s = np.zeros(size), np.zeros(size), np.zeros(size)
        self.end_s = np.full(size, math.inf)
        self.held = np.full(size, NONE, dtype=np.int64)
        self.starts, self.epoch = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        self.runtime_s, self.told = np.zeros((size, k)), np.ones((size, k))
        self.fill = np.zeros((size, k))
        self.served_s, self.units = np.zeros((size, k)), np.zeros((size, k), dtype=np.int64)

    def _grow(self) -> None:
        old = dict(vars(self))
        self._make(2 * len(self.number))
        for name, values in old.items():
            if isinstance(values, np.ndarray):
                vars(self)[name][: len(values)] = values

    def add(self, number: int, job: TraceJob, restart_s: float) -> int:
        """Take a job in and return its row."""
        if self._free:
            row = self._free.pop()
            self.jobs[row] = job
        else:
            row = len(self.jobs)
            self.jobs.append(job)
            if row == len(self.number):
                self._grow()
        self.number[row] = number
        self.arrived_s[row] = job.arrival_s
        self.deadline_s[row] = job.deadline_s
        self.weight[row] = job.weight
        self.restart_s[row] = restart_s
        self.undone[row] = 1.0
        np.maximum(job.runtime_s, LEAST_S, out=self.runtime_s[row])
        self.units[row] = job.units
        if self.starts[row]:  # the row had another job
            self.starts[row] = 0
            self.served_s[row] = 0.0
        self.active[row] = None
        self.phased += job.phases is not None
        return row

    def remove(self, row: int) -> None:
        """Let a job go; events that were due for its row are stale from now on."""
        self.phased -= self.job(row).phases is not None
        self.jobs[row] = None
        self.held[row] = NONE
        self.end_s[row] = math.inf
        self.epoch[row] += 1
        del self.active[row]
        self._free.append(row)

    def job(self, row: int) -> TraceJob:
        """Return the active job of a row."""
        job = self.jobs[row]
        assert job is not None
        return job

    def is_guest(self, row: int) -> bool:
        """Say whether a job shares the units of one that arrived before it."""
        partner = self.partner.item(row)
        return partner != NONE and bool(self.number[partner] < self.number[row])

    def left_of(self, row: int, now_s: float) -> float:
        """Return the share of a running job that is undone now."""
        column, undone = self.held.item(row), self.undone.item(row)
        left_s = max(0.0, self.end_s.item(row) - now_s) / self.stretch.item(row)
        job = self.job(row)
        if job.phases is not None:
            return float(min(undone, 1.0 - job.phases.done_at(column, left_s)))
        return float(min(undone, left_s / self.runtime_s.item(row, column)))

    def seconds_left(self, row: int, column: int) -> float:
        """Return how long the undone share takes in a configuration, without its stretch."""
        job = self.job(row)
        if job.phases is not None:
            return float(job.phases.left_at(1.0 - self.undone.item(row))[column])
        return self.undone.item(row) * self.runtime_s.item(row, column)

    def undone_of(self, rows: IntArray, now_s: float) -> FloatArray:
        """Return the undone shares of rows now."""
        undone = self.undone[rows]
        held = self.held[rows]
        running = np.flatnonzero(held >= 0)
        if self.phased:
            for i in running:
                undone[i] = self.left_of(int(rows[i]), now_s)
            return undone
        on = rows[running]
        left = (self.end_s[on] - now_s) / (self.stretch[on] * self.runtime_s[on, held[running]])
        undone[running] = np.minimum(undone[running], np.maximum(left, 0.0))
        return undone
