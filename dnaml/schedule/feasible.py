"""Which job may run on which resource, and why not.

Limits come first: memory, gang size, the job's constraints, and what the predictor says cannot work. The matrix is
computed at once, in microseconds where no job has constraints; a reason is put in words only when somebody asks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import Problem
from dnaml.core.prediction import Quantiles
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints, Job

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

COST_LEVEL = 0.9
"""a cost limit is kept when this quantile of the cost is below it"""
DEADLINE_LEVEL = 0.95
"""a deadline is kept when the wait plus this quantile of the runtime is below it"""
_NO_LIMITS = Constraints()
_SHOWN = 3  # so many resources are named when each is refused for a reason of its own


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feasibility:
    """Says which pairs are allowed: `matrix` [J, R], and on request the reason in words."""

    problem: Problem
    matrix: BoolArray

    def reason(self, j: int, r: int) -> str:
        """Return why job j may not run on resource r, or "" if it may."""
        case = _case(self.problem, j)
        broken = _first_broken(case, r)
        return broken.says(case, r, case.resources[r].id) if broken else ""

    def reasons(self, j: int) -> tuple[str, ...]:
        """Return of every resource why job j may not run there, "" where it may."""
        allowed = self.matrix[j].tolist()
        if all(allowed):
            return ("",) * len(allowed)
        case = _case(self.problem, j)
        broken = [None if may else _first_broken(case, r) for r, may in enumerate(allowed)]
        return tuple(rule.says(case, r, case.resources[r].id) if rule else "" for r, rule in enumerate(broken))

    def why_unplaced(self, j: int) -> str:
        """Return why no resource may take job j: the rule, the value, and what comes nearest to it."""
        case = _case(self.problem, j)
        if not case.resources:
            return "there is no resource"
        rules = [_first_broken(case, r) for r in range(len(case.resources))]
        first = rules[0]
        if first is not None and all(rule is first for rule in rules):
            nearest = max(range(len(rules)), key=lambda r: first.rank(case, r))
            return first.says(case, nearest, f"{first.nearest} {case.resources[nearest].id}")
        texts = [
            f"{resource.id}: {rule.says(case, r, 'it')}"
            for r, (resource, rule) in enumerate(zip(case.resources, rules, strict=True))
            if rule is not None
        ]
        more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
        return "; ".join(texts[:_SHOWN] + more)


@lru_cache(maxsize=1)
def feasibility(problem: Problem) -> Feasibility:
    """Return which pairs [J, R] of the problem are allowed; the newest answer is kept."""
    prediction = problem.prediction
    matrix: BoolArray = prediction.feasible & prediction.runtime_s.known()  # [J, R]
    needs = computations_of(problem)
    if any(c.memory_bytes is not None for c in needs):
        need = np.array([[c.memory_bytes or 0.0] for c in needs])  # [J, 1]
        have = np.array([np.inf if r.memory_bytes is None else r.memory_bytes for r in problem.resources])
        matrix = matrix & (need <= have)
    if any(job.units[0] > 1 for job in problem.jobs):
        gangs = np.array([[job.units[0]] for job in problem.jobs])  # [J, 1]
        matrix = matrix & (gangs <= np.array([r.slots for r in problem.resources]))
    limited = [j for j, job in enumerate(problem.jobs) if _is_limited(job.constraints)]
    if limited:
        matrix[limited] &= _within_limits(problem, limited)
    return Feasibility(problem=problem, matrix=matrix)


def computations_of(problem: Problem) -> list[Computation]:
    """Return the computation of each job [J]: the one in its place where the two tuples run alike, else by id."""
    aligned = list(problem.computations)
    if [c.id for c in aligned] == [job.computation_id for job in problem.jobs]:
        return aligned
    by_id = {computation.id: computation for computation in problem.computations}
    return [by_id[job.computation_id] for job in problem.jobs]


def time_left_s(problem: Problem, job: Job) -> float:
    """Return the seconds until the job's deadline, infinite where it has none."""
    limit = job.constraints.deadline_s
    return np.inf if limit is None else job.submitted_at_s + limit - problem.at_s


def _is_limited(limits: Constraints) -> bool:
    return limits is not _NO_LIMITS and limits != _NO_LIMITS


def _within_limits(problem: Problem, limited: list[int]) -> BoolArray:
    """Return which resources keep the constraints of the limited jobs: [len(limited), R]."""
    jobs = [problem.jobs[j] for j in limited]
    static: dict[int, list[bool]] = {}  # many jobs share one Constraints object
    for job in jobs:
        if id(job.constraints) not in static:
            static[id(job.constraints)] = [keeps_static(job.constraints, r) for r in problem.resources]
    inside = np.array([static[id(job.constraints)] for job in jobs], dtype=bool).reshape(len(jobs), -1)
    if any(job.constraints.max_cost_usd is not None for job in jobs):
        limit = np.array([[job.constraints.max_cost_usd or np.nan] for job in jobs])
        cost = problem.prediction.cost_usd.quantile(COST_LEVEL)[limited]
        inside &= np.isnan(limit) | (cost <= limit)  # an unknown cost is within no limit
    if any(job.constraints.deadline_s is not None for job in jobs):
        left = np.array([[time_left_s(problem, job)] for job in jobs])
        end = problem.prediction.runtime_s.quantile(DEADLINE_LEVEL)[limited] + problem.free_in_s
        inside &= np.isinf(left) | (end <= left)
    return inside


def keeps_static(limits: Constraints, resource: Resource) -> bool:
    """Say whether a resource keeps those limits of a job that no prediction is needed for."""
    return (
        (not limits.kinds or resource.kind in limits.kinds)
        and (not limits.resource_ids or resource.id in limits.resource_ids)
        and resource.carries(limits.labels)
        and not _is_too_dear(limits, resource)
    )


def _is_too_dear(limits: Constraints, resource: Resource) -> bool:
    if limits.max_price_usd_per_h is None:
        return False
    return resource.price_usd_per_h is None or resource.price_usd_per_h > limits.max_price_usd_per_h


# ---- the same rules in words, one pair at a time ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One job of a problem, as the rules look at it."""

    problem: Problem
    j: int
    job: Job
    computation: Computation

    @property
    def resources(self) -> tuple[Resource, ...]:
        return self.problem.resources

    @property
    def limits(self) -> Constraints:
        return self.job.constraints

    def cost_usd(self, r: int) -> float:
        return _quantile(self.problem.prediction.cost_usd, COST_LEVEL, self.j, r)

    def end_s(self, r: int) -> float:
        runtime_s = _quantile(self.problem.prediction.runtime_s, DEADLINE_LEVEL, self.j, r)
        return runtime_s + float(self.problem.free_in_s[r])


def _quantile(of: Quantiles, level: float, j: int, r: int) -> float:
    """Return the quantile of one pair."""
    return Quantiles(levels=of.levels, values=of.values[j : j + 1, r : r + 1]).quantile(level).item()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A limit: when a pair breaks it, which resource comes nearest to keeping it, and the words for both."""

    breaks: Callable[[_Case, int], bool]
    says: Callable[[_Case, int, str], str]
    rank: Callable[[_Case, int], float] = lambda case, r: 0.0
    nearest: str = "resource"


def _case(problem: Problem, j: int) -> _Case:
    return _Case(problem=problem, j=j, job=problem.jobs[j], computation=computations_of(problem)[j])


def _first_broken(case: _Case, r: int) -> _Rule | None:
    return next((rule for rule in _RULES if rule.breaks(case, r)), None)


def _size(count: float) -> str:
    """Return a number of bytes for people: GiB from 0.1 GiB, MiB below."""
    return f"{count / 2**30:.1f} GiB" if count >= 0.1 * 2**30 else f"{count / 2**20:.1f} MiB"


def _usd(value: float | None) -> str:
    return "unknown" if value is None or np.isnan(value) else f"{value:.4g} USD"


def _or_worst(value: float | None) -> float:
    return -np.inf if value is None or np.isnan(value) else -value


def _breaks_memory(case: _Case, r: int) -> bool:
    have = case.resources[r].memory_bytes
    return have is not None and (case.computation.memory_bytes or 0) > have


def _says_memory(case: _Case, r: int, who: str) -> str:
    return f"needs {_size(case.computation.memory_bytes or 0)}, {who} has {_size(case.resources[r].memory_bytes or 0)}"


def _says_kind(case: _Case, r: int, who: str) -> str:
    wanted = ", ".join(kind.value for kind in case.limits.kinds)
    return f"runs only on {wanted}, {who} is {case.resources[r].kind.value}"


def _says_id(case: _Case, r: int, who: str) -> str:
    return f"runs only on {', '.join(case.limits.resource_ids)}, {who} is none of these"


def _says_label(case: _Case, r: int, who: str) -> str:
    have, wanted = case.resources[r], case.limits.labels.items()
    for key, value in wanted:
        if value.startswith("!") and not have.carries({key: value}):
            return f"must not run where {key}={value[1:]}, {who} is there"
    needed = ", ".join(f"{key}={value}" for key, value in wanted if not value.startswith("!"))
    return f"needs the labels {needed}, {who} lacks one"


def _says_price(case: _Case, r: int, who: str) -> str:
    price, limit = _usd(case.resources[r].price_usd_per_h), _usd(case.limits.max_price_usd_per_h)
    return f"the limit is {limit} an hour, the price of {who} is {price}"


def _says_cost(case: _Case, r: int, who: str) -> str:
    return f"the limit is {_usd(case.limits.max_cost_usd)}, the cost (p90) on {who} is {_usd(case.cost_usd(r))}"


def _says_deadline(case: _Case, r: int, who: str) -> str:
    left = time_left_s(case.problem, case.job)
    return f"the deadline is in {left:.4g} s, {who} needs until {case.end_s(r):.4g} s (p95 with its queue)"


def _says_predictor(case: _Case, r: int, who: str) -> str:
    return f"{case.problem.prediction.path} says that it cannot run on {who}"


def _is_unpredicted(case: _Case, r: int) -> bool:
    return not np.isfinite(case.problem.prediction.runtime_s.values[case.j, r]).all()


_RULES = (
    _Rule(
        breaks=_breaks_memory,
        says=_says_memory,
        rank=lambda case, r: float(case.resources[r].memory_bytes or 0),
        nearest="the largest resource",
    ),
    _Rule(
        breaks=lambda case, r: case.job.units[0] > case.resources[r].slots,
        says=lambda case, r, who: f"needs {case.job.units[0]} units, {who} has {case.resources[r].slots}",
        rank=lambda case, r: case.resources[r].slots,
        nearest="the largest resource",
    ),
    _Rule(
        breaks=lambda case, r: bool(case.limits.kinds) and case.resources[r].kind not in case.limits.kinds,
        says=_says_kind,
    ),
    _Rule(
        breaks=lambda case, r: bool(case.limits.resource_ids) and case.resources[r].id not in case.limits.resource_ids,
        says=_says_id,
    ),
    _Rule(breaks=lambda case, r: not case.resources[r].carries(case.limits.labels), says=_says_label),
    _Rule(
        breaks=lambda case, r: _is_too_dear(case.limits, case.resources[r]),
        says=_says_price,
        rank=lambda case, r: _or_worst(case.resources[r].price_usd_per_h),
        nearest="the cheapest resource",
    ),
    _Rule(breaks=lambda case, r: not case.problem.prediction.feasible[case.j, r], says=_says_predictor),
    _Rule(breaks=_is_unpredicted, says=lambda case, r, who: f"no finite runtime is predicted for {who}"),
    _Rule(
        breaks=lambda case, r: (
            case.limits.max_cost_usd is not None and not case.cost_usd(r) <= case.limits.max_cost_usd
        ),
        says=_says_cost,
        rank=lambda case, r: _or_worst(case.cost_usd(r)),
        nearest="the cheapest resource",
    ),
    _Rule(
        breaks=lambda case, r: case.end_s(r) > time_left_s(case.problem, case.job),
        says=_says_deadline,
        rank=lambda case, r: -case.end_s(r),
        nearest="the soonest resource",
    ),
)
