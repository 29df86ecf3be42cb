"""What was planned and has not started: a queue of placements for each resource, with the figures behind them."""

from collections import deque
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from dnaml.core.attempt import Placement
from dnaml.core.plan import Decision, FloatArray, Plan, Problem
from dnaml.schedule.alike import alike
from dnaml.schedule.ledger import Entry
from dnaml.schedule.objective import Terms, terms
from dnaml.schedule.redirect import Redirect

_SHOWN = (0.10, 0.50, 0.90)


class Forecast(NamedTuple):
    """Is what one attempt is expected to need: median and 90 % quantile of its runtime, and its resource's hazard."""

    expected_s: float
    high_s: float
    hazard_per_h: float


class Agenda:
    """Holds one plan's placements until they start. `window` are the jobs the plan was made for.

    `queues` are the placements of each resource in order, those of jobs that need none any more among them.
    `parked` are jobs that no resource may take at present: they stand aside, so that others are planned for.
    """

    def __init__(self) -> None:
        self.window: dict[str, Entry] = {}
        self.parked: dict[str, Entry] = {}
        self.queues: dict[str, deque[Placement]] = {}
        self._copies: dict[str, int] = {}
        self._rows: dict[str, int] = {}
        self._columns: dict[str, int] = {}
        self._tables: list[FloatArray] = []  # each [K, R] of the jobs that are not alike
        self._shown: dict[int, list[tuple[float, ...]]] = {}
        self._summands: dict[int, dict[str, tuple[float, ...]]] = {}
        self._ids: tuple[str, ...] = ()
        self._hazard_per_h: list[float] = []
        self._mean_s = 0.0
        self._path = ""
        self._policy = ""
        self._reasons: dict[int, tuple[str, ...]] = {}
        self._terms: Terms | None = None
        self._problem: Problem | None = None
        self._redirect: Redirect | None = None

    def renew(self, plan: Plan, problem: Problem, policy: str) -> None:
        """Replace everything planned by a new plan for the jobs of `problem`."""
        self.queues = {}
        self._copies = {job.id: 0 for job in problem.jobs if job.resilience.replicas > 1}
        for placement in plan.placements:
            self.queues.setdefault(placement.resource_id, deque()).append(placement)
            if placement.parts > 1 or placement.job_id in self._copies:
                self._copies[placement.job_id] = self._copies.get(placement.job_id, 0) + 1
        found = alike(problem)
        weighed, prediction = terms(found.few), found.few.prediction
        arrays: list[FloatArray] = [prediction.runtime_s.quantile(level) for level in _SHOWN]
        arrays += [weighed.ready_s, weighed.cost_usd, weighed.risk, weighed.score]
        self._tables = arrays
        self._shown, self._summands = {}, {}
        self._mean_s = float(arrays[1].min(axis=1, initial=np.inf)[found.place].mean())
        self._hazard_per_h = prediction.hazard_per_h.tolist()
        self._rows = {job.id: row for job, row in zip(problem.jobs, found.place.tolist(), strict=True)}
        self._ids = tuple(resource.id for resource in problem.resources)
        self._columns = {resource_id: column for column, resource_id in enumerate(self._ids)}
        self._path, self._policy = prediction.path, policy
        self._terms, self._reasons = weighed, {}
        self._problem, self._redirect = problem, None

    def next(self, resource_id: str) -> Placement | None:
        """Take the next placement of a resource whose job still waits; None when nothing is planned on it."""
        queue = self.queues.get(resource_id)
        while queue:
            placement = queue.popleft()
            if placement.job_id in self.window:
                if placement.job_id in self._copies:
                    self._copies[placement.job_id] -= 1
                return placement
        self.queues.pop(resource_id, None)  # who looks for queues finds only those with something in them
        return None

    def draw(self, resource_id: str, at_s: float) -> None:
        """Let the job that gains most by it start on a resource that has nothing planned, if any gains."""
        column, queue = self._columns.get(resource_id), self.queues.get(resource_id)
        if column is None or self._problem is None or self._terms is None:
            return
        if queue and any(placement.job_id in self.window for placement in queue):
            return
        if self._redirect is None:
            self._redirect = Redirect(self._problem, self._terms, self.queues, self._rows)
        while (placement := self._redirect.best(column, at_s)) is not None:
            if placement.job_id in self.window:
                self.queues[resource_id] = deque([replace(placement, resource_id=resource_id)])
                return

    def give_back(self, placement: Placement) -> None:
        """Put back the placement that was taken last: its gang finds no room yet."""
        self.queues[placement.resource_id].appendleft(placement)
        if placement.job_id in self._copies:
            self._copies[placement.job_id] += 1

    def has_more(self, job_id: str) -> bool:
        """Say whether further copies of a job are planned."""
        return self._copies.get(job_id, 0) > 0

    def forget(self, job_id: str) -> None:
        """Take a job out of the window; its placements are skipped from now on."""
        self.window.pop(job_id, None)
        self.parked.pop(job_id, None)

    def park(self, job_id: str) -> Entry:
        """Move a job out of the window to those that no resource may take, behind the others there."""
        entry = self.parked[job_id] = self.window.pop(job_id)
        return entry

    def unpark(self, count: int) -> None:
        """Move up to `count` jobs back into the window, those first that stood aside longest."""
        for job_id in list(self.parked)[: max(0, count)]:
            self.window[job_id] = self.parked.pop(job_id)

    def clear(self) -> list[Entry]:
        """Empty the window and return its jobs, so that they can stand in line again."""
        entries = list(self.window.values())
        self.window = {}
        self.queues = {}
        return entries

    def work_s(self) -> float:
        """Return the predicted seconds of what is planned and has not started, each job where it runs fastest."""
        return self._mean_s * len(self.window)

    def forecast(self, placement: Placement) -> Forecast:
        """Return what was predicted for the whole job where a placement is."""
        row, column = self._rows[placement.job_id], self._columns[placement.resource_id]
        middle, high = self._tables[1].item(row, column), self._tables[2].item(row, column)
        return Forecast(middle, high, self._hazard_per_h[column])

    def decision(self, placement: Placement, attempt_id: str, at_s: float) -> Decision:
        """Return the record of why a placement is where it is."""
        row = self._rows[placement.job_id]
        if row not in self._shown:
            self._shown[row] = [tuple(table[row].tolist()) for table in self._tables]
            self._summands[row] = self._terms.summands(row) if self._terms is not None else {}
        p10, p50, p90, wait, cost, risk, score = self._shown[row]
        return Decision(
            job_id=placement.job_id,
            attempt_id=attempt_id,
            at_s=at_s,
            policy=self._policy,
            path=self._path,
            chosen=placement.resource_id,
            resource_ids=self._ids,
            runtime_p10_s=p10,
            runtime_p50_s=p50,
            runtime_p90_s=p90,
            wait_s=wait,
            cost_usd=cost,
            risk=risk,
            score=score,
            reasons=self._why_not(row),
            terms=self._summands[row],
        )

    def _why_not(self, row: int) -> tuple[str, ...]:
        if self._terms is None or not self._terms.limited:
            return ("",) * len(self._ids)
        if row not in self._reasons:
            self._reasons[row] = self._terms.feasible.reasons(row)
        return self._reasons[row]
