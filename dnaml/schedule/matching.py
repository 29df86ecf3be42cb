"""The default policy: jobs are matched to positions in the resources' queues so that the objective is least.

Higher priorities are matched first and start first. Within a queue the shortest runs first (times its weight), moved
only where a deadline asks for it. With a predictor that knows every runtime (a table) this policy is the oracle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import Plan, Problem
from dnaml.schedule.alike import alike
from dnaml.schedule.assignment import Assignment, assign, quick_total
from dnaml.schedule.feasible import BoolArray, feasibility, time_left_s
from dnaml.schedule.objective import (
    WEIGHING,
    References,
    batch_references,
    exceeds,
    expected,
    fixed_parts,
    shares_of,
    terms,
)
from dnaml.schedule.queues import Choice, completions, copies_of, figures, plan_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingPolicy:
    """Places jobs by matching them to (resource, position); the plan's bound is certified where the model is exact.

    The bound covers plans without replicas in which all jobs have one priority and one objective. A resource's slots
    are taken to be free together, after `free_in_s`.
    """

    name: str = "matching"

    def plan(self, problem: Problem) -> Plan:
        """Return placements in start order, and the reason for each job that no resource may take."""
        if len(problem.jobs) == 1 and problem.jobs[0].resilience.replicas == 1:
            return _plan_of_one(problem)
        view = _View.of(problem)
        choices: list[Choice] = []
        free_in_s = problem.free_in_s.astype(float)
        bound: float | None = None
        levels = _levels(problem, view.rows)
        for rows in levels:
            found = view.assigned(rows, free_in_s)
            level = view.ordered(rows, found, free_in_s)
            if len(levels) > 1:
                for j, r in level:
                    free_in_s[r] += view.runtime_s[j, r] / view.slots[r]
            elif found.exact and view.uniform:
                bound = found.total / len(rows)
            choices += level
        copies = copies_of(problem, view.allowed, view.runtime_s, choices)
        return view.plan(choices + copies, bound=None if copies else bound)


def _plan_of_one(problem: Problem) -> Plan:
    """Return the plan for a single job: the resource of least J, by the same formula as a batch of one."""
    scored = terms(problem)
    best = int(scored.score[0].argmin()) if problem.resources else 0
    if not scored.feasible.matrix[0, best : best + 1].any():
        return plan_of(problem, [], {problem.jobs[0].id: scored.feasible.why_unplaced(0)}, score=figures([], []))
    least = float(scored.score[0, best])
    end_s = float(scored.runtime_s[0, best] + problem.free_in_s[best])
    score = {"objective": least} | {name: float(part[0, best]) for name, part in scored.parts.items()}
    score |= figures([end_s], [float(scored.cost_usd[0, best])])
    return plan_of(problem, [(0, best)], {}, score=score, bound=least, gap=0.0)


def utopia(problem: Problem) -> References:
    """Return the utopia point of a batch: the least mean completion time, cost, risk and energy that each term alone
    could reach. Schedules of several policies are compared under it; a plan's own score uses a quick estimate of its
    completion time, at most about 2 % above."""
    feasible = feasibility(problem)
    pairs = expected(problem)
    jct_s = _least_mean_jct_s(problem, feasible.matrix, pairs.runtime_s)
    return batch_references(pairs, feasible.matrix, jct_s=jct_s)


def _levels(problem: Problem, rows: IntArray) -> list[IntArray]:
    """Return the placeable rows by falling priority."""
    if not len(rows):
        return []
    priority = np.array([problem.jobs[j].priority for j in rows])
    if (priority == priority[0]).all():
        return [rows]
    return [rows[priority == value] for value in np.unique(priority)[::-1]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """A problem with what every step looks at: allowed pairs, expectations, weights, references."""

    problem: Problem
    place: IntArray  # [J] of each job's kind among the K kinds
    allowed: BoolArray  # [J, R]
    rows: IntArray  # jobs that some resource may take
    unplaced: dict[str, str]
    runtime_s: FloatArray  # [J, R]
    cost_usd: FloatArray  # [K, R]
    uniform: bool  # one objective for all jobs
    latency: FloatArray  # [J, 1] weight of a second of completion time
    references: References
    parts: Mapping[str, FloatArray]  # what J sums up besides latency and lateness, each [K, R]
    fixed: FloatArray  # [J, R] their sum
    slots: IntArray  # [R]

    @classmethod
    def of(cls, problem: Problem) -> "_View":
        """Return the view; the references are the batch's utopia point."""
        found = alike(problem)
        few, place = found.few, found.place
        feasible, pairs, shares = feasibility(few), expected(few), shares_of(few)
        allowed, runtime_s = feasible.matrix[place], pairs.runtime_s[place]
        placeable: BoolArray = np.any(feasible.matrix, axis=1)[place]
        rows = placeable.nonzero()[0]
        lost = () if len(rows) == len(placeable) else (~placeable).nonzero()[0]
        jct_s = _least_mean_jct_s(problem, allowed, runtime_s, quick=True)
        references = batch_references(pairs, feasible.matrix, jct_s=jct_s, place=place)
        parts = fixed_parts(pairs, feasible.matrix, shares, references)
        return cls(
            problem=problem,
            place=place,
            allowed=allowed,
            rows=rows,
            unplaced={problem.jobs[j].id: feasible.why_unplaced(int(place[j])) for j in lost},
            runtime_s=runtime_s,
            cost_usd=pairs.cost_usd,
            uniform=isinstance(shares.latency, float),
            latency=np.broadcast_to(shares.latency / references.jct_s, (len(feasible.matrix), 1))[place],
            references=references,
            parts=parts,
            fixed=reduce(np.add, parts.values())[place],
            slots=_slots(problem),
        )

    def assigned(self, rows: IntArray, free_in_s: FloatArray) -> Assignment:
        """Return the assignment of some jobs to queues that are free from `free_in_s` on."""
        weight = self.latency[rows]
        slope = weight * self.runtime_s[rows]
        base = self.fixed[rows] + weight * free_in_s
        return assign(slope, base, self.allowed[rows], self.slots, steps=self.problem.budget)

    def ordered(self, rows: IntArray, found: Assignment, free_in_s: FloatArray) -> list[Choice]:
        """Return the choices of one priority level by start: in each queue shortest (per weight) first."""
        weighed = self.runtime_s[rows, found.resource] / self.latency[rows, 0]
        order = np.lexsort((weighed, found.resource))
        choices = list(zip(rows[order].tolist(), found.resource[order].tolist(), strict=True))
        bound_in_time = any(self.problem.jobs[j].constraints.deadline_s is not None for j in rows)
        if bound_in_time:
            choices = self._by_deadline(choices, free_in_s)
        if len(choices) == 1:
            return choices
        starts, _ = completions(self.problem, choices, self.runtime_s, free_in_s)
        by_start = sorted(range(len(choices)), key=starts.__getitem__)
        if found.identical and not bound_in_time:  # any two may swap: first come, first started
            return [(j, choices[i][1]) for j, i in zip(rows.tolist(), by_start, strict=True)]
        return [choices[i] for i in by_start]

    def _by_deadline(self, choices: list[Choice], free_in_s: FloatArray) -> list[Choice]:
        """Return the choices with each queue ordered backwards: last comes the longest job that may end so late.

        Least sum of completion times with all deadlines kept on one machine (Smith, 1956); where none may end last,
        the latest deadline does.
        """
        left_s = [time_left_s(self.problem, job) for job in self.problem.jobs]
        tail_s = self.problem.prediction.runtime_s.quantile(0.95) - self.runtime_s
        ordered: list[Choice] = []
        for r in sorted({r for _, r in choices}):
            queue = [j for j, where in choices if where == r]  # shortest first
            end_s = float(free_in_s[r]) + sum(float(self.runtime_s[j, r]) for j in queue) / int(self.slots[r])
            backwards: list[Choice] = []
            while queue:
                fits = [i for i, j in enumerate(queue) if end_s + tail_s[j, r] <= left_s[j]]
                last = queue.pop(fits[-1] if fits else max(range(len(queue)), key=lambda i: left_s[queue[i]]))
                end_s -= float(self.runtime_s[last, r]) / int(self.slots[r])
                backwards.append((last, r))
            ordered += backwards[::-1]
        return ordered

    def plan(self, choices: list[Choice], *, bound: float | None) -> Plan:
        """Return the plan with its score: J and its parts as means over the placed jobs."""
        problem = self.problem
        starts, ends = completions(problem, choices, self.runtime_s)
        j, r = (np.array(axis, dtype=np.int64) for axis in zip(*choices, strict=True)) if choices else _NOTHING
        count = max(1, len(choices))
        kind = self.place[j]
        parts = {name: float(part[kind, r].sum()) / count for name, part in self.parts.items()}
        parts["latency"] = float((self.latency[j, 0] * np.array(ends)).sum()) / count
        parts["late"] = WEIGHING.late * self._late(choices, starts) / count
        objective = sum(parts.values())
        score = {"objective": objective, **parts}
        score |= figures(ends, self.cost_usd[kind, r].tolist())
        gap = None if bound is None or bound <= 0 else max(0.0, objective / bound - 1.0)
        return plan_of(problem, choices, self.unplaced, score=score, bound=bound, gap=gap)

    def _late(self, choices: Sequence[Choice], starts: Sequence[float]) -> float:
        """Return how many deadlines are expected to be missed."""
        return sum(
            exceeds(self.problem.prediction.runtime_s, j, r, time_left_s(self.problem, self.problem.jobs[j]) - start)
            for (j, r), start in zip(choices, starts, strict=True)
            if self.problem.jobs[j].constraints.deadline_s is not None
        )


_NOTHING = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def _least_mean_jct_s(problem: Problem, allowed: BoolArray, runtime_s: FloatArray, *, quick: bool = False) -> float:
    """Return the least mean completion time of the placeable jobs, or a quick estimate of it: the unit of latency."""
    rows = np.flatnonzero(np.any(allowed, axis=1))
    if not len(rows):
        return 1.0
    slope, slots = runtime_s[rows], _slots(problem)
    base = np.broadcast_to(problem.free_in_s, slope.shape)
    if quick:
        return quick_total(slope, base, allowed[rows], slots) / len(rows)
    return assign(slope, base, allowed[rows], slots, steps=problem.budget).total / len(rows)


def _slots(problem: Problem) -> IntArray:
    return np.array([resource.slots for resource in problem.resources], dtype=np.int64)
