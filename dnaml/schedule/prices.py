"""Prices of resources whose slots are scarce, and what they prove: the dual side of a large assignment.

With a price on each slot every job takes what is cheapest for it, price included. Prices at which demand meets the
slots solve the assignment; any prices at all prove that nothing can cost less than

    sum over jobs of min(cost + price, the cost of waiting)  -  sum over resources of price * slots
"""

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import FloatArray, IntArray
from dnaml.schedule.candidates import Candidates, Costs, Float32Array, blocks

Counts = npt.NDArray[np.floating | np.integer]
"""numbers of jobs or slots, whole or not"""
_ROUNDING = float(np.finfo(np.float32).eps)


def lower_bound(costs: Costs, price: FloatArray, slots: IntArray, waiting: float) -> float:
    """Return what no assignment can cost less than; `price` [R] not negative. Rounding is on the safe side."""
    least = 0.0
    offset = price.astype(np.float32)
    for first, last in blocks(costs, 1_000_000):
        best = np.minimum((costs.block(first, last) + offset).min(axis=1), np.float32(waiting)).astype(np.float64)
        least += float((best - 2 * _ROUNDING * np.abs(best)).sum())
    sold = slots > 0  # what has no slots may have any price, an infinite one too
    return least - float((offset[sold].astype(np.float64) * slots[sold]).sum())


def sampled_prices(
    costs: Costs, slots: IntArray, rng: np.random.Generator, *, rows: int = 3000, iterations: int = 30
) -> FloatArray:
    """Return prices [R] at which a sample of the jobs spreads over its share of the slots.

    Of very many resources a sample too is priced; the prices of the others follow from how alike their costs are.
    """
    jobs, resources = costs.shape
    few = np.sort(rng.choice(jobs, min(rows, jobs), replace=False))
    if resources <= MOST_PRICED:
        return _spread(costs.rows(few), slots * (len(few) / jobs), iterations)
    some = np.sort(rng.choice(resources, MOST_PRICED, replace=False))
    share = slots[some].sum() / max(1, slots.sum())  # of the jobs these resources would get
    priced = _spread(costs.columns(some)[:, few].T, slots[some] * (len(few) / (jobs * share)), iterations)
    return _by_likeness(costs.rows(few[:PROBES]), some, priced)


MOST_PRICED = 1500
"""resources that are priced one by one in a sample; of more only so many"""
PROBES = 256
"""jobs whose costs tell how alike two resources are"""
_AXES = 32


def _spread(sample: Float32Array, room: Counts, iterations: int) -> FloatArray:
    """Return prices at which the jobs of a sample [n, R] spread over the room: subgradient steps.

    The second half of the steps is averaged; a step moves a price by the excess of its demand, clipped.
    """
    resources = sample.shape[1]
    at = min(1, resources - 1)
    second = np.partition(sample[:300], at, axis=1)[:, at]
    scale = float(second[np.isfinite(second)].mean()) if np.isfinite(second).any() else 1.0
    price, total, buffer = np.zeros(resources, dtype=np.float32), np.zeros(resources), np.empty_like(sample)
    for t in range(iterations):
        np.add(sample, price, out=buffer)
        excess = np.bincount(buffer.argmin(axis=1), minlength=resources) - room
        price = _stepped(price, excess, room, scale, t)
        if t >= iterations // 2:
            total += price
    return total / (iterations - iterations // 2)


def _stepped(price: Float32Array, excess: Counts, room: Counts, scale: float, t: int) -> Float32Array:
    step = 0.5 * scale / (1 + t) ** 0.7 * np.clip(excess / np.maximum(room, 1e-9), -1, 2)
    stepped: Float32Array = np.maximum(0, price + step).astype(np.float32)
    return stepped


def _by_likeness(probes: Float32Array, some: IntArray, priced: FloatArray) -> FloatArray:
    """Return prices of all resources from those of some: ridge regression on what their costs of a few jobs say.

    The features of a resource are the main axes of the logarithms of its costs [P, R], their squares, and products
    with its general level; where costs are not all positive, of the costs themselves.
    """
    finite = np.isfinite(probes)
    known = np.where(finite, probes, probes[finite].max(initial=1.0))
    logs = np.log(known) if (known > 0).all() else known / max(1e-9, float(np.abs(known).mean()))
    logs = (logs - logs.mean(axis=1, keepdims=True)).astype(np.float64)
    level = logs.mean(axis=0)
    _, main = np.linalg.eigh((logs - level) @ (logs - level).T)
    axes = ((logs - level).T @ main[:, -_AXES:]) / np.sqrt(len(logs))  # [R, 32]
    raised = np.exp(np.clip(level, -20, 20))[:, None]
    features = np.column_stack([np.ones(len(level)), level, level**2, raised, axes, (axes**2).sum(1), raised * axes])
    features /= np.maximum(1e-9, features.std(axis=0) + (features.std(axis=0) == 0))
    rows = features[some]
    ridge = 1e-3 * len(rows) * np.eye(rows.shape[1])
    prices: FloatArray = np.maximum(0.0, features @ np.linalg.solve(rows.T @ rows + ridge, rows.T @ priced))
    return prices


def refined_prices(candidates: Candidates, price: FloatArray, slots: IntArray, *, iterations: int) -> FloatArray:
    """Return prices [R] at which all jobs, each choosing among its candidates, spread over the slots."""
    jobs, resources = len(candidates.rest), len(slots)
    scale = candidates.scale()
    row = np.arange(jobs)
    now, total = price.astype(np.float32), np.zeros(resources)
    for t in range(iterations):
        best = (candidates.cost + now[candidates.index]).argmin(axis=1)
        excess = np.bincount(candidates.index[row, best], minlength=resources) - slots
        now = _stepped(now, excess, slots, scale, t)
        if t >= iterations // 2:
            total += now
    return total / (iterations - iterations // 2)
