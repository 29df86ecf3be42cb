"""The only place where cost, latency, resilience and energy are weighed.

Every term is divided by a reference (what the best choice reaches), so that weights compare like with like:

    J(j, r) = w_t (E[T] + wait + transfer + risk (CVaR_90[T] - E[T])) / T*  +  w_c E[usd] / C*
            + w_r (-ln(1 - P_fail)) / F*  +  w_e E[joule] / E*  +  late P(T + wait + transfer > deadline)
            - [j explores] (w_t (E[T] - T_hope) / T*  +  w_c (E[usd] - usd_hope) / C*)

Weights are the objective's shares. For one job the references are those of its best feasible resource; for a batch
they are the utopia point, each term's own optimum over the batch. Conventions: a price or power that is not known
counts as the dearest known one of the job, and where none is known the term is dropped; cost and latency never weigh
less than `Weighing.tie`, so that ties are broken; what may not run scores infinity. The input of a computation reaches
a resource after its latency and its bytes over its bandwidth, at once where neither is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import Problem
from dnaml.core.prediction import Quantiles
from dnaml.core.work import Objective
from dnaml.schedule.feasible import Feasibility, feasibility, time_left_s

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Broadcast = float | FloatArray
"""a number for all jobs, or one a job as [J, 1]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Holds the weights of the formula that are not the user's."""

    risk: float = 0.05
    """of the runtime's tail, as a share of the latency weight"""
    late: float = 1.0
    """of the probability to miss the deadline"""
    tie: float = 1e-6
    """least share of cost and of latency"""
    hope: float = 0.1
    """quantile of runtime and cost by which a job is judged that explores"""
    risk_floor: float = 1e-3
    """least F*: a failure in a thousand runs is as good as none"""
    tail: float = 0.9
    """CVaR is the mean of the runtimes above this quantile"""


WEIGHING = Weighing()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """What is expected of every pair, unweighed: all [J, R]; unknown costs and energies are NaN."""

    runtime_s: FloatArray
    tail_s: FloatArray  # CVaR_90[T] - E[T]
    cost_usd: FloatArray
    risk: FloatArray  # -ln(1 - P_fail)
    energy_j: FloatArray
    transfer_s: FloatArray | None = None  # until the input is there; None where it is nowhere known to take time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """The weights of the four terms, summing to about 1: numbers, or [J, 1] where jobs have their own."""

    cost: Broadcast
    latency: Broadcast
    resilience: Broadcast
    energy: Broadcast


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class References:
    """What each term is divided by: means per job of the best that each can reach; numbers or [J, 1]."""

    jct_s: Broadcast = 1.0
    cost_usd: Broadcast = 1.0
    risk: Broadcast = 1.0
    energy_j: Broadcast = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Explains every pair, all [J, R]: runtime, the wait before it, cost (NaN unknown), P_fail, P(late), and J.

    `wait_s` is for the resource, `ready_s` also for the input to reach it.
    `parts` are the weighed terms that J sums up. `limited` says that some pair is not allowed, `reason` why.
    """

    feasible: Feasibility
    runtime_s: FloatArray
    wait_s: FloatArray
    ready_s: FloatArray
    cost_usd: FloatArray
    risk: FloatArray
    late: FloatArray
    parts: Mapping[str, FloatArray]
    score: FloatArray

    def summands(self, j: int) -> dict[str, tuple[float, ...]]:
        """Return what J sums up for job j, each [R] by name; a term that is 0 on every resource is left out."""
        return {name: tuple(part[j].tolist()) for name, part in self.parts.items() if part[j].any()}

    @property
    def limited(self) -> bool:
        """Return whether any job may not run on some resource."""
        return not bool(self.feasible.matrix.all())

    def reason(self, j: int, r: int) -> str:
        """Return why job j may not run on resource r, or "" if it may."""
        return self.feasible.reason(j, r)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a finished schedule reached; `objective` is J averaged over the jobs, lower is better."""

    mean_jct_s: float
    makespan_s: float
    cost_usd: float
    objective: float


@lru_cache(maxsize=1)
def terms(problem: Problem) -> Terms:
    """Return every term of J for every pair, each job judged against its own best feasible resource.

    The newest answer is kept: who plans and who explains the plan ask for the same one.
    """
    feasible = feasibility(problem)
    allowed = feasible.matrix
    pairs = expected(problem)
    wait_s = np.empty(allowed.shape)
    wait_s[:] = problem.free_in_s
    shares = shares_of(problem)
    references = best_of_each(pairs, allowed, wait_s)
    ready_s = wait_s if pairs.transfer_s is None else wait_s + pairs.transfer_s
    late = late_shares(problem, ready_s)
    parts = fixed_parts(pairs, allowed, shares, references)
    parts["latency"] = (shares.latency / references.jct_s) * (pairs.runtime_s + wait_s)
    parts["late"] = WEIGHING.late * late
    if problem.explores:
        parts["explore"] = _hope(problem, pairs, shares, references)
    score = reduce(np.add, parts.values())
    score[~allowed] = np.inf
    return Terms(
        feasible=feasible,
        runtime_s=pairs.runtime_s,
        wait_s=wait_s,
        ready_s=ready_s,
        cost_usd=pairs.cost_usd,
        risk=-np.expm1(-pairs.risk),
        late=late,
        parts=parts,
        score=score,
    )


def expected(problem: Problem) -> Expected:
    """Return the expectations that all terms are made of."""
    prediction = problem.prediction
    moments = prediction.runtime_s.weighed(_moments(prediction.runtime_s.levels.tobytes()))  # [J, R, 2]
    runtime_s = moments[..., 0]
    power_w = np.array([np.nan if r.power_w is None else r.power_w for r in problem.resources])
    return Expected(
        runtime_s=runtime_s,
        tail_s=moments[..., 1],
        cost_usd=prediction.cost_usd.weighed(_moments(prediction.cost_usd.levels.tobytes())[:, 0]),
        risk=runtime_s * (prediction.hazard_per_h / 3600.0),
        energy_j=runtime_s * power_w,
        transfer_s=_transfer_s(problem),
    )


def _hope(problem: Problem, pairs: Expected, shares: Shares, references: References) -> FloatArray:
    """Return what J is lower by [J, R] where runtime and cost turn out as well as can be hoped."""
    runtime, cost = problem.prediction.runtime_s, problem.prediction.cost_usd
    gain_s = np.maximum(pairs.runtime_s - runtime.quantile(WEIGHING.hope), 0.0)
    gain_usd = np.nan_to_num(np.maximum(pairs.cost_usd - cost.quantile(WEIGHING.hope), 0.0))
    hope: FloatArray = -(shares.latency / references.jct_s) * gain_s - (shares.cost / references.cost_usd) * gain_usd
    return hope


def _transfer_s(problem: Problem) -> FloatArray | None:
    """Return the seconds [J, R] until an input is where it is needed; None where no link is known."""
    links = [(r.latency_s or 0.0, 1.0 / (r.bandwidth_bytes_per_s or np.inf)) for r in problem.resources]
    latency_s, s_per_byte = np.array(links, dtype=float).reshape(-1, 2).T
    if not (latency_s.any() or s_per_byte.any()):
        return None
    input_bytes = np.array([float(one.input_bytes or 0) for one in problem.computations])
    transfer_s: FloatArray = latency_s + np.outer(input_bytes, s_per_byte)
    return transfer_s


@lru_cache(maxsize=16)
def _moments(levels: bytes) -> FloatArray:
    """Return weights [Q, 2] of quantiles: their mean, and the mean above the tail level less the mean."""
    middle = np.frombuffer(levels)
    edges = np.concatenate([[0.0], (middle[1:] + middle[:-1]) / 2, [1.0]])
    mean = np.diff(edges)
    tail = np.diff(np.maximum(edges, WEIGHING.tail)) / (1 - WEIGHING.tail)
    return np.column_stack([mean, tail - mean])


def shares_of(problem: Problem) -> Shares:
    """Return the weights of the problem, or of each job where some job brings an objective of its own."""
    if all(job.objective is None for job in problem.jobs):
        cost, latency, resilience, energy = problem.objective.shares()
        return Shares(
            cost=max(cost, WEIGHING.tie), latency=max(latency, WEIGHING.tie), resilience=resilience, energy=energy
        )
    rows = np.array([(job.objective or problem.objective).shares() for job in problem.jobs])  # [J, 4]
    floored = np.maximum(rows, [WEIGHING.tie, WEIGHING.tie, 0.0, 0.0])
    cost_, latency_, resilience_, energy_ = floored.T[:, :, None]  # four of [J, 1]
    return Shares(cost=cost_, latency=latency_, resilience=resilience_, energy=energy_)


def best_of_each(pairs: Expected, allowed: BoolArray, wait_s: FloatArray) -> References:
    """Return the references of jobs judged one by one: of each term the least that a feasible resource reaches."""
    least = _least(pairs, allowed, wait_s)
    least[np.isinf(least)] = 1.0
    jct_s, cost_usd, risk, energy_j = least
    return References(jct_s=jct_s, cost_usd=cost_usd, risk=np.maximum(risk, WEIGHING.risk_floor), energy_j=energy_j)


def batch_references(pairs: Expected, allowed: BoolArray, *, jct_s: float, place: IntArray | None = None) -> References:
    """Return the utopia point of a batch, given its least mean completion time.

    With a `place` [J] the rows are kinds of jobs, each of which counts as often as it is named there.
    """
    each = _least(pairs, allowed, np.zeros((1, 1)))[..., 0]  # [4, J]
    _, cost_usd, risk, energy_j = (_mean_or_one(least) for least in (each if place is None else each[:, place]))
    return References(
        jct_s=jct_s if jct_s > 0 else 1.0,
        cost_usd=cost_usd,
        risk=max(risk, WEIGHING.risk_floor),
        energy_j=energy_j,
    )


def _least(pairs: Expected, allowed: BoolArray, wait_s: FloatArray) -> FloatArray:
    """Return of completion time, cost, risk and energy the least positive allowed value of each row [4, J, 1].

    It is infinite where none is known; what is free (or impossible, or NaN) is no unit to measure by.
    """
    values = np.empty((4, *allowed.shape))  # [4, J, R]
    np.add(pairs.runtime_s, wait_s, out=values[0])
    values[1], values[2], values[3] = pairs.cost_usd, pairs.risk, pairs.energy_j
    least: FloatArray = np.where(allowed & (values > 0), values, np.inf).min(axis=2, keepdims=True, initial=np.inf)
    return least


def _mean_or_one(least: FloatArray) -> float:
    known = least[np.isfinite(least)]
    return float(known.mean()) if known.size else 1.0


def fixed_parts(pairs: Expected, allowed: BoolArray, shares: Shares, references: References) -> dict[str, FloatArray]:
    """Return the parts of J, each [J, R] and weighed, that no queue changes; a part without weight is absent."""
    parts = {
        "tail": (WEIGHING.risk * shares.latency / references.jct_s) * pairs.tail_s,
        "cost": (shares.cost / references.cost_usd) * known_or_dearest(pairs.cost_usd, allowed),
    }
    if pairs.transfer_s is not None:
        parts["transfer"] = (shares.latency / references.jct_s) * pairs.transfer_s
    if not _is_zero(shares.resilience):
        parts["resilience"] = (shares.resilience / references.risk) * pairs.risk
    if not _is_zero(shares.energy):
        parts["energy"] = (shares.energy / references.energy_j) * known_or_dearest(pairs.energy_j, allowed)
    return parts


def _is_zero(share: Broadcast) -> bool:
    return isinstance(share, float) and share == 0.0


def known_or_dearest(values: FloatArray, allowed: BoolArray) -> FloatArray:
    """Return the values with each NaN replaced by the dearest known allowed one of its row, 0 where none is."""
    unknown = np.isnan(values)
    if not unknown.any():
        return values
    dearest = np.where(allowed & ~unknown, values, 0.0).max(axis=1, keepdims=True, initial=0.0)
    return np.where(unknown, dearest, values)


def late_shares(problem: Problem, wait_s: FloatArray) -> FloatArray:
    """Return P(T + wait > deadline) [J, R], 0 for jobs without a deadline."""
    late = np.zeros(wait_s.shape)
    for j, job in enumerate(problem.jobs):
        if job.constraints.deadline_s is not None:
            left_s = time_left_s(problem, job)
            late[j] = [exceeds(problem.prediction.runtime_s, j, r, left_s - wait) for r, wait in enumerate(wait_s[j])]
    return late


def exceeds(runtime_s: Quantiles, j: int, r: int, limit_s: float) -> float:
    """Return the probability that a runtime is above a limit: linear between quantiles, 0 or 1 beyond them."""
    return 1.0 - float(np.interp(limit_s, runtime_s.values[j, r], runtime_s.levels, left=0.0, right=1.0))


def evaluate(
    jct_s: Sequence[float] | FloatArray,
    cost_usd: Sequence[float] | FloatArray,
    *,
    objective: Objective,
    references: References,
    risk: Sequence[float] | FloatArray = (),
    energy_j: Sequence[float] | FloatArray = (),
) -> Outcome:
    """Return what a finished schedule reached: per job [J] its completion time since the start and its cost.

    Policies are compared under the same `references`; NaN costs are left out; a term without values is dropped.
    """
    jct, cost = np.asarray(jct_s, dtype=float), np.asarray(cost_usd, dtype=float)
    weights = objective.shares()
    means = (_mean(cost), _mean(jct), _mean(np.asarray(risk, dtype=float)), _mean(np.asarray(energy_j, dtype=float)))
    units = (references.cost_usd, references.jct_s, references.risk, references.energy_j)
    score = sum(weight * mean / float(unit) for weight, mean, unit in zip(weights, means, units, strict=True))
    return Outcome(
        mean_jct_s=means[1],
        makespan_s=float(jct.max(initial=0.0)),
        cost_usd=float(np.nansum(cost)),
        objective=float(score),
    )


def _mean(values: FloatArray) -> float:
    """Return the mean of the known values, 0 where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0
