"""S7 to S9: rounds, assignments and single decisions against exact and greedy solvers in the same run.

Processor time on one thread; every total stands beside the bound that certifies it.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.report import Op, Row
from dnaml.core.plan import FloatArray, IntArray
from dnaml.schedule.candidates import Float32Array
from dnaml.schedule.lagrangian import allocate
from dnaml.schedule.single import NOWHERE, Picker
from dnaml.schedule.slots import WAITS, assign_slots

DNA = 32


def cpu_s(act: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    began_s = time.process_time()
    act()
    return time.process_time() - began_s


# -- many jobs to resources with slots ---------------------------------------------------------------------------------


class DnaCosts:
    """Costs computed from DNA as they are needed: work times an affinity of two vectors times a price."""

    def __init__(self, jobs: int, resources: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        left = rng.standard_normal((jobs, DNA), dtype=np.float32) * np.float32(0.5 / DNA**0.5)
        right = rng.standard_normal((resources, DNA), dtype=np.float32)
        work, price = rng.lognormal(0, 1, jobs), rng.lognormal(0, 0.5, resources)
        self._jobs = np.column_stack([left, np.log(work), np.ones(jobs)]).astype(np.float32)
        self._resources = np.column_stack([right, np.ones(resources), np.log(0.5 + 0.5 * price)]).astype(np.float32)
        self._turned = np.ascontiguousarray(self._resources.T)
        self.shape = (jobs, resources)

    def block(self, first: int, last: int) -> Float32Array:
        """Return the costs of consecutive jobs."""
        return _exp(self._jobs[first:last] @ self._turned)

    def rows(self, index: IntArray) -> Float32Array:
        """Return the costs of some jobs."""
        return _exp(self._jobs[index] @ self._turned)

    def columns(self, index: IntArray) -> Float32Array:
        """Return the costs on some resources."""
        return _exp(self._resources[index] @ self._jobs.T)


def _exp(values: Float32Array) -> Float32Array:
    np.exp(values, out=values)
    return values


def greedy_total(costs: Float32Array, slots: IntArray) -> float:
    """Return what jobs cost that take the cheapest free slot, those with most to lose first."""
    order = np.argsort(-np.diff(np.partition(costs, 1, axis=1)[:, :2], axis=1)[:, 0], kind="stable")
    price, left, total = np.zeros(len(slots), dtype=np.float32), slots.copy(), 0.0
    price[left == 0] = np.inf
    for job in order.tolist():
        best = int((costs[job] + price).argmin())
        total += float(costs[job, best])
        left[best] -= 1
        if not left[best]:
            price[best] = np.inf
    return total


def assignment_rows(quick: bool) -> list[Row]:
    """Return the gap and the time of large assignments: with equal slots, unlike costs, and slack in unequal slots."""
    jobs, resources = (2000, 200) if quick else (10_000, 1000)
    rng = np.random.default_rng(0)
    dna = DnaCosts(jobs, resources).block(0, jobs)
    equal, uneven = np.full(resources, 10), _uneven(resources, jobs + jobs // 20, rng)
    cases = [
        ("dna", dna, equal, 0.1, 0.6),
        ("iid", rng.lognormal(0, 0.5, dna.shape).astype(np.float32), equal, 0.2, 1.5),
        ("uneven", dna, uneven, 0.2, 1.5),
    ]
    rows = []
    for name, costs, slots, gap, limit_s in cases:
        rows += _assigned(f"S8.{name}", costs, slots, gap, limit_s, greedy=greedy_total(costs, slots))
    if not quick:
        rows += _assigned("S8.large", DnaCosts(100_000, 10_000), np.full(10_000, 10), 0.3, 20.0)
    return rows


def _uneven(resources: int, total: int, rng: np.random.Generator) -> IntArray:
    return rng.multinomial(total, rng.dirichlet(np.full(resources, 3.0))).astype(np.int64)


def _assigned(
    id_: str,
    costs: DnaCosts | Float32Array,
    slots: IntArray,
    gap: float,
    limit_s: float,
    *,
    greedy: float | None = None,
) -> list[Row]:
    began_s = time.process_time()
    plan = assign_slots(costs, slots)
    spent_s = time.process_time() - began_s
    what = f"{costs.shape[0]} jobs on {costs.shape[1]} resources with {slots.sum()} slots"
    beside = None if greedy is None else 100 * (greedy / plan.bound - 1)
    return [
        Row(
            id=f"{id_}.gap",
            metric=f"certified gap, {what}",
            value=100 * plan.gap,
            unit="%",
            bar=gap,
            peer=None if greedy is None else "greedy by regret",
            peer_value=beside,
        ),
        Row(id=f"{id_}.time", metric=f"processor time, {what}", value=spent_s, unit="s", bar=limit_s),
        Row(id=f"{id_}.waiting", metric="jobs left out", value=float((plan.resource == WAITS).sum()), unit="", bar=0),
    ]


# -- rounds of gangs ---------------------------------------------------------------------------------------------------

_POOLS = ((0, (1, 2, 4, 8, 12, 16, 20, 24)), (1, (1, 2, 4, 8, 16)), (2, (1, 2, 4, 8, 16, 24)))
_SPEED = np.array([1.0, 5.0, 1.8])


def drawn_round(jobs: int, seed: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Return costs [J, K], units [J, K] and pools [K] of jobs that scale unlike on three sorts of GPUs."""
    rng = np.random.default_rng(seed)
    pool = np.concatenate([np.full(len(counts), index) for index, counts in _POOLS])
    count = np.concatenate([counts for _, counts in _POOLS])
    speed = _SPEED[pool] * rng.lognormal(0, 0.35, (jobs, 3))[:, pool] * count ** rng.uniform(0.45, 0.98, (jobs, 1))
    cost = np.round((speed / speed.min(axis=1, keepdims=True)) ** -0.5, 2)
    return cost, np.broadcast_to(count, cost.shape), pool


def round_rows(quick: bool) -> list[Row]:
    """Return the gap and the time of one round; the worst of five draws."""
    rows = []
    for scale, limit_s in ((4, 0.1),) if quick else ((32, 0.1), (128, 0.3)):
        gaps, spent_s = [], []
        for seed in range(5):
            cost, units, pool = drawn_round(30 * scale, seed)
            capacity, idle = np.array([24, 16, 24]) * scale, np.full(len(cost), 1.1)
            began_s = time.process_time()
            plan = allocate(cost, units, pool, capacity, idle)
            spent_s.append(time.process_time() - began_s)
            gaps.append(100 * plan.gap)
        what = f"a round of {64 * scale} GPUs and {30 * scale} jobs"
        rows += [
            Row(id=f"S7.{64 * scale}.gap", metric=f"certified gap, {what}", value=max(gaps), unit="%", bar=0.05),
            Row(
                id=f"S7.{64 * scale}.time",
                metric=f"processor time, {what}",
                value=max(spent_s[1:]),
                unit="s",
                bar=limit_s,
                note=f"the first of five, with SciPy's import, {spent_s[0]:.3g} s",
            ),
        ]
    return rows


# -- single decisions --------------------------------------------------------------------------------------------------


def single_rows(quick: bool) -> list[Row]:
    """Return how fast single computations are placed on resources that fill up and are released."""
    resources, kinds, count = (2000, 100, 4000) if quick else (10_000, 1000, 40_000)
    rng = np.random.default_rng(0)
    log_price = np.log(0.5 + 0.5 * rng.lognormal(0, 0.5, resources))
    dna = np.column_stack([rng.standard_normal((resources, DNA)), log_price]).astype(np.float32)
    capacity = np.column_stack([rng.integers(4, 65, resources), rng.integers(16, 512, resources)]).astype(float)
    demands = np.column_stack([rng.standard_normal((kinds, DNA)) * 0.5 / DNA**0.5, np.ones(kinds)]).astype(np.float32)
    needs = np.column_stack([rng.integers(1, 5, kinds), rng.integers(1, 17, kinds)]).astype(float)
    picker = Picker(dna=dna, capacity=capacity)
    first_s = [cpu_s(partial(picker.pick, str(i), demands[i], needs[i].tolist())) for i in range(kinds)]
    each_s = _kept_busy(picker, demands, needs.tolist(), rng.integers(0, kinds, count).tolist(), 6 * resources, rng)
    batch = Picker(dna=dna, capacity=capacity)
    batches_s = _batches(batch, demands, needs)
    plain_s = cpu_s(lambda: [int((dna @ demands[i]).argmin()) for i in range(100)]) / 100
    what = f"over {resources} unlike resources"
    return [
        Row(
            id="S9.rate",
            metric=f"decisions for computations seen before, {what}, releases included",
            value=1 / float(np.mean(each_s)),
            unit="/s",
            op=Op.AT_LEAST,
            bar=20_000,
            peer="a product with all DNA and its least, nothing else",
            peer_value=1 / plain_s,
        ),
        Row(id="S9.p99", metric="the same, p99", value=1e3 * float(np.quantile(each_s, 0.99)), unit="ms", bar=0.2),
        Row(id="S9.first", metric="first seen, p99", value=1e3 * float(np.quantile(first_s, 0.99)), unit="ms", bar=2.0),
        Row(
            id="S9.batch",
            metric="first-seen computations in batches of 64, releases included",
            value=64 / batches_s,
            unit="/s",
            op=Op.AT_LEAST,
            bar=60_000,
        ),
    ]


def _kept_busy(
    picker: Picker,
    demands: Float32Array,
    needs: list[list[float]],
    order: list[int],
    live_most: int,
    rng: np.random.Generator,
) -> list[float]:
    """Return the processor time of each decision with the release that pays for it, once the pool is filled."""
    live: list[tuple[int, int]] = []
    for kind in rng.integers(0, len(needs), live_most).tolist():
        live.append((picker.pick(str(kind), demands[kind], needs[kind]), kind))
    spent_s = []
    for kind, out in zip(order, rng.integers(0, live_most, len(order)).tolist(), strict=True):
        began_s = time.process_time()
        resource, ended = live[out]
        if resource != NOWHERE:
            picker.release(resource, needs[ended])
        live[out] = (picker.pick(str(kind), demands[kind], needs[kind]), kind)
        spent_s.append(time.process_time() - began_s)
    return spent_s


def _batches(picker: Picker, demands: Float32Array, needs: FloatArray) -> float:
    """Return the mean processor time of a batch of 64 that is released again twenty batches later."""
    kept: list[tuple[IntArray, list[int]]] = []
    rng = np.random.default_rng(1)
    began_s = time.process_time()
    for _ in range(100):
        chosen = rng.integers(0, len(demands), 64)
        kept.append((chosen, picker.pick_many(demands[chosen], needs[chosen])))
        if len(kept) > 20:
            ended, where = kept.pop(0)
            for kind, resource in zip(ended.tolist(), where, strict=True):
                if resource != NOWHERE:
                    picker.release(resource, needs[kind].tolist())
    return (time.process_time() - began_s) / 100
