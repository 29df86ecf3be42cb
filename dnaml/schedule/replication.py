"""How many copies of a computation to run, and where: the fewest that reach a wanted probability of completion.

Copies in one failure domain (host, rack, zone, provider) share part of their fate: with probability `shared` all of
them go with the likeliest to fail, else each on its own. Domains are independent:

    P(all fail) = product over domains d of  (1 - shared) product of p_i  +  shared max p_i,   i in d

Within a domain the k safest copies are the best k, so the safest set of r copies is a small dynamic programme, exact;
among all sets of that size which are safe enough the cheapest is found by trying them in order of cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, fsum, inf, isfinite, prod

import numpy as np

from dnaml.core.plan import FloatArray

SHARED = 0.1
"""default probability that one cause takes a whole domain"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Describes one place a copy could run: its probability to fail there, what it costs, and its failure domain."""

    p_fail: float
    cost: float
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Names the chosen candidates by index, rising; `reason` says why the wanted probability is not reached, or "".

    `least_cost` is a certified lower bound of the cost of any set of so few copies that is as safe as was wanted;
    it equals `cost` where the search was complete.
    """

    chosen: tuple[int, ...]
    p_complete: float
    cost: float
    least_cost: float
    reason: str = ""


def joint_failure(candidates: Sequence[Candidate], *, shared: float = SHARED) -> float:
    """Return the probability that every copy fails; 1 without copies."""
    return prod(
        (1 - shared) * prod(members) + shared * max(members)
        for members in _by_domain([(c.domain, c.p_fail) for c in candidates]).values()
    )


def _by_domain(pairs: Sequence[tuple[str, float]]) -> dict[str, list[float]]:
    domains: dict[str, list[float]] = {}
    for domain, p_fail in pairs:
        domains.setdefault(domain, []).append(p_fail)
    return domains


def fewest_copies(
    candidates: Sequence[Candidate], p_wanted: float, *, most: int = 8, shared: float = SHARED, steps: int = 20_000
) -> Copies:
    """Return the fewest copies that complete with at least `p_wanted`, and of those sets the cheapest.

    Where not even `most` copies reach it, the safest of at most that many, with the reason. Candidates whose
    probability or cost is not a number are left out. `steps` bounds the sets tried for their cost.
    """
    known = [i for i, c in enumerate(candidates) if 0 <= c.p_fail <= 1 and isfinite(c.cost)]
    safest = _safest_sets(candidates, known, min(most, len(known)), shared)
    if not safest:
        return Copies(chosen=(), p_complete=0.0, cost=0.0, least_cost=0.0, reason=_none_left(candidates, most))
    for chosen in safest:
        if 1 - joint_failure([candidates[i] for i in chosen], shared=shared) >= p_wanted:
            return _cheapest(candidates, known, chosen, p_wanted, shared, steps)
    best = min(safest, key=lambda chosen: joint_failure([candidates[i] for i in chosen], shared=shared))
    p_complete = 1 - joint_failure([candidates[i] for i in best], shared=shared)
    reason = f"{len(best)} copies complete with probability {p_complete:.6g}, wanted {p_wanted:.6g}"
    cost = fsum(candidates[i].cost for i in best)
    return Copies(chosen=best, p_complete=p_complete, cost=cost, least_cost=cost, reason=reason)


def _none_left(candidates: Sequence[Candidate], most: int) -> str:
    if most < 1:
        return f"at most {most} copies were allowed"
    return "no resource may take a copy" if not candidates else "no candidate has a known probability and cost"


def _safest_sets(
    candidates: Sequence[Candidate], known: Sequence[int], most: int, shared: float
) -> list[tuple[int, ...]]:
    """Return the safest set of 1, 2, ... `most` copies: for each domain and number of copies the safest ones."""
    domains: dict[str, list[int]] = {}
    for i in sorted(known, key=lambda i: (candidates[i].p_fail, candidates[i].cost, i)):
        domains.setdefault(candidates[i].domain, []).append(i)
    best: list[tuple[float, tuple[int, ...]]] = [(1.0, ()), *((inf, ()) for _ in range(most))]
    for members in domains.values():
        wider = list(best)
        for k in range(1, min(most, len(members)) + 1):
            p_fail = joint_failure([candidates[i] for i in members[:k]], shared=shared)
            for r in range(k, most + 1):
                if best[r - k][0] * p_fail < wider[r][0]:
                    wider[r] = (best[r - k][0] * p_fail, (*best[r - k][1], *members[:k]))
        best = wider
    return [tuple(sorted(chosen)) for _, chosen in best[1:]]


def _cheapest(
    candidates: Sequence[Candidate],
    known: Sequence[int],
    safest: tuple[int, ...],
    p_wanted: float,
    shared: float,
    steps: int,
) -> Copies:
    """Return the cheapest set as large as `safest` that is safe enough, `safest` being one."""
    copies = len(safest)
    looked_at = copies
    while looked_at < len(known) and comb(looked_at + 1, copies) <= steps:
        looked_at += 1
    by_cost = sorted(known, key=lambda i: (candidates[i].cost, candidates[i].p_fail, i))
    unseen = by_cost[looked_at:]  # the dearest
    by_cost = by_cost[:looked_at]
    best, best_cost = safest, fsum(candidates[i].cost for i in safest)
    for chosen in combinations(by_cost, copies):
        cost = fsum(candidates[i].cost for i in chosen)
        if cost < best_cost and 1 - joint_failure([candidates[i] for i in chosen], shared=shared) >= p_wanted:
            best, best_cost = tuple(sorted(chosen)), cost
    least = best_cost
    if unseen:  # a better set has to use one of them, beside the cheapest others
        others = by_cost[: copies - 1]
        least = min(best_cost, fsum(candidates[i].cost for i in [*others, unseen[0]]))
    p_complete = 1 - joint_failure([candidates[i] for i in best], shared=shared)
    return Copies(chosen=best, p_complete=p_complete, cost=best_cost, least_cost=least)


def majority_probability(candidates: Sequence[Candidate], *, shared: float = SHARED) -> float:
    """Return the probability that more than half of the copies give the right answer, `p_fail` being a wrong one."""
    failures = np.ones(1)  # [k + 1] probability of 0 ... k failures so far
    for members in _by_domain([(c.domain, c.p_fail) for c in candidates]).values():
        alone = np.ones(1)
        for p_fail in members:
            alone = np.convolve(alone, [1 - p_fail, p_fail])
        together = np.zeros(len(members) + 1)
        together[[0, -1]] = 1 - max(members), max(members)
        failures = np.convolve(failures, (1 - shared) * alone + shared * together)
    return float(failures[: (len(candidates) + 1) // 2].sum()) if candidates else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """Explains whether a second copy of a straggler pays: seconds saved and dollars spent, both expected."""

    start: bool
    saved_s: float
    spent_usd: float


def speculate(
    left_s: FloatArray,
    copy_s: FloatArray,
    *,
    usd_per_s: float,
    price_usd_per_s: float = 0.0,
    copy_price_usd_per_s: float = 0.0,
    least_saved: float = 0.1,
) -> Speculation:
    """Return whether to start a copy beside a run, the first result winning and the other being stopped.

    Shapes: left_s [N] equally likely remaining times of the run, copy_s [M] of the copy with its start-up. A second
    saved is worth `usd_per_s` and what the run costs; the copy costs until one of the two has ended. A saving below
    the share `least_saved` of what is left is not worth the trouble, even for nothing.
    """
    both_s = np.minimum(left_s[:, None], copy_s[None, :]).mean()
    saved_s = float(left_s.mean() - both_s)
    spent_usd = float(both_s) * copy_price_usd_per_s
    pays = saved_s * (usd_per_s + price_usd_per_s) > spent_usd
    return Speculation(
        start=pays and saved_s > least_saved * float(left_s.mean()), saved_s=saved_s, spent_usd=spent_usd
    )
