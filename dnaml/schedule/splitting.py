"""Splits divisible work over resources so that all parts end together, and says when it is worth it.

Resource i needs `start_s[i] + whole_s[i] * share` for its share of the work: start-up, queue and first transfer, then
compute and transfer in proportion. With parts S that all end at tau, shares sum to 1:

    tau = (1 + sum a_i / b_i) / sum(1 / b_i),   share_i = (tau - a_i) / b_i,   a = start_s, b = whole_s

More parts never end later, so without a price on parts the best S is every resource with `a_i < tau`. A price on each
part (`join_each_s`) or a limit on their number asks for the best k: see `_best_of_size`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.plan import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

BARRIER_LEVEL = 0.75
"""quantile of the predicted runtime to pass as `whole_s` where the slowest part ends the job"""
WORTH_SHARE = 0.05
"""least gain over the best single resource, as a share of its time, for which work is split"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """Holds what parts cost beside their own work, and how many there may be (None: no limit)."""

    join_s: float = 0.0
    """once, to join the parts when the last has ended"""
    join_each_s: float = 0.0
    """for each part, in addition"""
    most_parts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Gives each resource its share of the work [R], summing to 1, or to 0 where no resource is usable.

    `end_s` is when the joined result is there, `single_s` when it were from the best single resource; both are the
    optimum of the stated formula, so the plan's gap is 0. `unusable` holds the reason of each resource that cannot
    take part, by index.
    """

    share: FloatArray
    end_s: float
    single_s: float
    unusable: Mapping[int, str] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """Return how many resources have a share."""
        return int(np.count_nonzero(self.share))


FREE = Joining()


def split(start_s: FloatArray, whole_s: FloatArray, *, joining: Joining = FREE, worth: float = WORTH_SHARE) -> Split:
    """Return the shares that end first, or all on the best single resource unless splitting gains more than `worth`.

    Shapes: start_s [R], whole_s [R] seconds for the whole work, start-up not included.
    """
    start, whole = np.asarray(start_s, dtype=float), np.asarray(whole_s, dtype=float)
    unusable = _unusable(start, whole)
    usable = np.array([i for i in range(len(start)) if i not in unusable], dtype=np.int64)
    share = np.zeros(len(start))
    if not usable.size:
        return Split(share=share, end_s=np.inf, single_s=np.inf, unusable=unusable)
    a, b = start[usable], whole[usable]
    alone = int((a + b).argmin())
    single_s = float(a[alone] + b[alone])
    chosen, end_s = _best(a, b, joining)
    if len(chosen) == 1 or end_s >= (1 - worth) * single_s:
        share[usable[alone]] = 1.0
        return Split(share=share, end_s=single_s, single_s=single_s, unusable=unusable)
    share[usable[chosen]] = (_tau(a[chosen], b[chosen]) - a[chosen]) / b[chosen]
    return Split(share=share, end_s=end_s, single_s=single_s, unusable=unusable)


def _unusable(start: FloatArray, whole: FloatArray) -> dict[int, str]:
    reasons = {}
    for i, (a, b) in enumerate(zip(start.tolist(), whole.tolist(), strict=True)):
        if not (np.isfinite(a) and a >= 0):
            reasons[i] = f"its start must be a time from now on, got {a} s"
        elif not (np.isfinite(b) and b > 0):
            reasons[i] = f"its time for the whole work must be finite and positive, got {b} s"
    return reasons


def _tau(a: FloatArray, b: FloatArray) -> float:
    """Return when all of these end together."""
    return float((1 + (a / b).sum()) / (1 / b).sum())


def _best(a: FloatArray, b: FloatArray, joining: Joining) -> tuple[IntArray, float]:
    """Return the best set of resources and when its joined result is there."""
    most = len(a) if joining.most_parts is None else max(1, min(len(a), joining.most_parts))
    sizes = range(1, most + 1) if joining.join_each_s > 0 else (most,)
    best, best_end_s = np.empty(0, dtype=np.int64), np.inf
    for size in sizes:
        chosen = _best_of_size(a, b, size)
        joined_s = joining.join_s + joining.join_each_s * len(chosen) if len(chosen) > 1 else 0.0
        end_s = _tau(a[chosen], b[chosen]) + joined_s
        if end_s < best_end_s:
            best, best_end_s = chosen, end_s
    return best, best_end_s


def _best_of_size(a: FloatArray, b: FloatArray, size: int) -> IntArray:
    """Return the at most `size` resources whose common end is first.

    Until tau they do `sum of the largest max(0, (tau - a) / b)` of the work: convex and rising in tau, so Newton's
    steps from the right, each a choice and its closed form, end at the optimum after a few.
    """
    chosen = np.array([int((a + b).argmin())])
    tau = _tau(a[chosen], b[chosen])
    while True:
        done = (tau - a) / b
        order = np.argsort(-done, kind="stable")[:size]
        best = np.sort(order[done[order] > 0])
        earlier = _tau(a[best], b[best])
        if not earlier < tau * (1 - 1e-15):
            return chosen
        chosen, tau = best, earlier
