"""Split jobs within a plan: where a divisible job is worth splitting, and where the parts that are missing go.

A policy places whole jobs; here the placement of a divisible one is replaced by those of its parts. Shares are decided
once, before the first part starts, and are whole multiples of 2^-20, so that `start + share` of one part is exactly the
`start` of the next. Where runtimes are uncertain a share is cut into several parts, so that what has not begun can
still go elsewhere: as parts end, the rates observed replace predicted ones whose interval they left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dnaml.core.attempt import Placement
from dnaml.core.plan import FloatArray, IntArray, Plan, Problem
from dnaml.core.resource import Site
from dnaml.schedule.feasible import feasibility
from dnaml.schedule.ledger import Entry, Part
from dnaml.schedule.objective import WEIGHING
from dnaml.schedule.pool import Lane, Pool
from dnaml.schedule.splitting import BARRIER_LEVEL, WORTH_SHARE, Joining, split

_GRAIN = 2**20
_JOIN_EACH_S = 0.01  # what a part costs beside its work: a start, a result, a place in the join
_MOST_COLUMNS = 64
_MOST_GRAINS, _LEAST_GRAIN_S = 4, 1.0  # parts that one share is cut into, and how long each must be
_SURE = 1.25  # ratio of the 90 % to the 10 % quantile below which a share stays in one part


def is_split(entry: Entry) -> bool:
    """Say whether a job may be split, or is; one that began whole stays whole."""
    return bool(entry.parts) or (
        entry.epoch == 0
        and entry.computation.divisible
        and entry.job.max_parts != 1
        and entry.job.units[0] == 1
        and entry.job.resilience.replicas == 1
        and entry.job.resilience.completion is None
    )


def divided(plan: Plan, problem: Problem, entries: Sequence[Entry], pool: Pool) -> Plan:
    """Return the plan with divisible jobs in parts where that pays; rows of the problem are the entries."""
    placed = {placement.job_id for placement in plan.placements}
    rows = [j for j, entry in enumerate(entries) if is_split(entry) and entry.job.id in placed]
    queues = _Queues.of(plan, problem, pool)
    changed = False
    for j in rows:
        entry = entries[j]
        table = _Table.of(problem, queues, j)
        begun = bool(entry.parts) and entry.epoch > 0
        chosen = _missing_parts(entry, table) if begun else _first_parts(entry, table, problem)
        if chosen or begun:
            queues.replace(entry, chosen)
            changed = True
    if not changed:
        return plan
    return replace(plan, placements=queues.placements(), bound=None, gap=None)


@dataclass(slots=True, kw_only=True)
class _Queues:
    """The placements of a plan by resource, in start order, and the priorities and runtimes behind them."""

    problem: Problem
    lanes: list[Lane]
    free_cores: Mapping[str, int]
    of_resource: dict[str, list[Placement]]
    rows: dict[str, int]
    runtime_s: FloatArray  # [J, R]

    @classmethod
    def of(cls, plan: Plan, problem: Problem, pool: Pool) -> "_Queues":
        of_resource: dict[str, list[Placement]] = {resource.id: [] for resource in problem.resources}
        for placement in plan.placements:
            of_resource[placement.resource_id].append(placement)
        return cls(
            problem=problem,
            lanes=pool.offered,
            free_cores=pool.free_cores(),
            of_resource=of_resource,
            rows={job.id: row for row, job in enumerate(problem.jobs)},
            runtime_s=problem.prediction.runtime_s.quantile(BARRIER_LEVEL),
        )

    def start_s(self, j: int) -> FloatArray:
        """Return when each resource [R] could begin with job j: after what is not of lower priority there."""
        own = self.problem.jobs[j]
        starts = self.problem.free_in_s.astype(float)
        for r, resource in enumerate(self.problem.resources):
            for placement in self.of_resource[resource.id]:
                row = self.rows[placement.job_id]
                if row != j and self.problem.jobs[row].priority >= own.priority:
                    starts[r] += placement.share * self.runtime_s[row, r] / resource.slots
            if resource.site is not Site.SERVERLESS:  # where it is, `free_in_s` holds it
                starts[r] += resource.startup_s or 0.0
        return starts

    def replace(self, entry: Entry, parts: list[Placement]) -> None:
        """Put parts in place of the whole job, each before what is of lower priority on its resource."""
        for queue in self.of_resource.values():
            queue[:] = [placement for placement in queue if placement.job_id != entry.job.id]
        for part in parts:
            queue = self.of_resource[part.resource_id]
            later = [
                i
                for i, placement in enumerate(queue)
                if self.problem.jobs[self.rows[placement.job_id]].priority < entry.job.priority
            ]
            queue.insert(later[0] if later else len(queue), part)

    def placements(self) -> tuple[Placement, ...]:
        return tuple(placement for queue in self.of_resource.values() for placement in queue)


@dataclass(slots=True, kw_only=True, eq=False)
class _Table:
    """What one job's parts may choose from, one row a slot: resource column, start, time and cost of the whole.

    `low_s` and `high_s` are the predicted 80 % interval of the time for the whole.
    """

    column: list[int]
    ids: tuple[str, ...]
    start_s: FloatArray
    whole_s: FloatArray
    low_s: FloatArray
    high_s: FloatArray
    cost_usd: FloatArray

    @classmethod
    def of(cls, problem: Problem, queues: _Queues, j: int) -> "_Table":
        allowed = feasibility(problem).matrix[j]
        start_s, whole_s = queues.start_s(j), queues.runtime_s[j]
        cost = np.nan_to_num(problem.prediction.cost_usd.mean()[j], nan=0.0)
        slots: list[int] = []
        for r, lane in enumerate(queues.lanes):
            if allowed[r]:
                slots += [r] * max(1, lane.resource.slots - lane.used)
        slots.sort(key=lambda r: float(start_s[r] + whole_s[r]))
        cores, column = dict(queues.free_cores), []
        for r in slots[:_MOST_COLUMNS]:
            domain = problem.resources[r].domain
            if cores.setdefault(domain, _MOST_COLUMNS) > 0:
                cores[domain] -= 1
                column.append(r)
        column.sort()
        return cls(
            column=column,
            ids=tuple(resource.id for resource in problem.resources),
            start_s=start_s[column],
            whole_s=whole_s[column],
            low_s=problem.prediction.runtime_s.quantile(0.1)[j, column],
            high_s=problem.prediction.runtime_s.quantile(0.9)[j, column],
            cost_usd=cost[column],
        )


def _first_parts(entry: Entry, table: _Table, problem: Problem) -> list[Placement]:
    """Return the placements of a job split anew, none where it is better whole."""
    joining = Joining(join_each_s=_JOIN_EACH_S, most_parts=entry.job.max_parts)
    found = split(table.start_s, table.whole_s, joining=joining)
    entry.parts = ()
    if found.parts < 2 or not _pays(entry, table, found.share, found.end_s, problem):
        return []
    pieces = _pieces(table, found.share, entry.job.max_parts)
    share = np.repeat(found.share / pieces, pieces)
    edges = np.round(np.concatenate([[0.0], np.cumsum(share)]) / share.sum() * _GRAIN).astype(np.int64)
    parts, where = list[Part](), list[int]()
    for i, column in enumerate(np.repeat(table.column, pieces).tolist()):
        if edges[i + 1] > edges[i]:
            start, end = int(edges[i]) / _GRAIN, int(edges[i + 1]) / _GRAIN
            parts.append(Part(start=start, share=end - start))
            where.append(column)
    entry.parts = tuple(parts)
    return [_placement(entry, k, table.ids[column]) for k, column in enumerate(where)]


def _pieces(table: _Table, share: FloatArray, most_parts: int | None) -> IntArray:
    """Return how many parts each slot's share [S] is cut into: one where its time is sure or short."""
    most = _MOST_GRAINS if most_parts is None else min(_MOST_GRAINS, most_parts // max(1, int(np.count_nonzero(share))))
    unsure = table.high_s > _SURE * table.low_s
    wanted = np.where(unsure, share * table.whole_s / _LEAST_GRAIN_S, 1.0)
    return np.clip(wanted, 1, max(1, most)).astype(np.int64)


def _pays(entry: Entry, table: _Table, share: FloatArray, end_s: float, problem: Problem) -> bool:
    """Say whether the split is better than the best single resource under the job's objective."""
    cost, latency, _, _ = (entry.job.objective or problem.objective).shares()
    ends_s = table.start_s + table.whole_s
    unit_s = max(float(ends_s.min()), 1e-9)
    known = table.cost_usd[table.cost_usd > 0]
    per_usd = cost / float(known.min()) if known.size else 0.0
    per_s = max(latency, WEIGHING.tie) / unit_s
    single = float((per_s * ends_s + per_usd * table.cost_usd).min())
    together = per_s * end_s + per_usd * float((share * table.cost_usd).sum())
    return together < (1 - WORTH_SHARE) * single


def _missing_parts(entry: Entry, table: _Table) -> list[Placement]:
    """Return the placements of the parts that neither run nor are done: the largest first, each where it ends first."""
    placements = []
    start_s, whole_s = table.start_s.copy(), _observed(entry, table)
    for k in sorted(entry.missing_parts(), key=lambda k: -entry.parts[k].share):
        part = entry.parts[k]
        fresh = [i for i, column in enumerate(table.column) if table.ids[column] not in part.lost_on]
        choice = fresh or range(len(table.column))
        best = min(choice, key=lambda i: float(start_s[i] + part.share * whole_s[i]))
        start_s[best] += part.share * whole_s[best]
        placements.append(_placement(entry, k, table.ids[table.column[best]]))
    return placements


def _observed(entry: Entry, table: _Table) -> FloatArray:
    """Return the time for the whole on each slot [S]: as observed where done parts left the predicted interval."""
    whole_s = table.whole_s.copy()
    for i, column in enumerate(table.column):
        done = [part for part in entry.parts if part.done and part.resource_id == table.ids[column]]
        if done:
            rate_s = sum(part.runtime_s for part in done) / sum(part.share for part in done)
            if rate_s > 0 and not table.low_s[i] <= rate_s <= table.high_s[i]:
                whole_s[i] = rate_s
    return whole_s


def _placement(entry: Entry, k: int, resource_id: str) -> Placement:
    part = entry.parts[k]
    return Placement(
        job_id=entry.job.id,
        resource_id=resource_id,
        share=part.share,
        start=part.start,
        part=k,
        parts=len(entry.parts),
    )


def restore(entry: Entry, placement: Placement) -> None:
    """Learn from a stored placement how a job was split; what lies between known parts is shared alike by the rest."""
    if not entry.parts:
        entry.parts = tuple(Part(start=0.0, share=0.0, known=False) for _ in range(placement.parts))
    part = entry.parts[placement.part]
    part.start, part.share, part.known = placement.start, placement.share, True
    begin = 0.0
    for k, part in enumerate(entry.parts):
        if not part.known:
            later = next((i for i in range(k, len(entry.parts)) if entry.parts[i].known), len(entry.parts))
            end = entry.parts[later].start if later < len(entry.parts) else 1.0
            part.start, part.share = begin, round((end - begin) / (later - k) * _GRAIN) / _GRAIN
        begin = part.start + part.share
