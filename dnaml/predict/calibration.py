"""Split conformal intervals: quantiles of held-out errors per group, with back-off where a group is small.

A group is (kind of query, bucket of how many runs stood behind it). Errors are of ln seconds, signed, over the
predictor's own scale. Of n held-out errors the limit at level q is the ceil((n + 1) q)-th: correct for finite samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dnaml.core.prediction import LEVELS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Group = tuple[int, int]
ENOUGH = 100  # errors for a group of its own
FEWEST = 10  # below, a group says nothing
ANY = -1
UNSEEN: tuple[float, ...] = (-2.5, -2.0, -1.0, 0.0, 1.0, 2.0, 2.5)  # scaled errors when nothing was ever held out


def conformal_quantile(errors: FloatArray, level: float) -> float:
    """Return the limit that a further error stays below with probability `level`.

    >>> conformal_quantile(np.arange(1.0, 10.0), 0.9)
    9.0
    """
    count = len(errors)
    ordered = np.sort(errors)
    if level >= 0.5:
        rank = min(int(np.ceil((count + 1) * level - 1e-9)), count)
    else:
        rank = max(int(np.floor((count + 1) * level + 1e-9)), 1)
    return float(ordered[rank - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Limits of the scaled error at LEVELS for each group; those of (ANY, ANY) stand in for unknown kinds."""

    limits: Mapping[Group, tuple[float, ...]] = field(default_factory=dict)
    counts: Mapping[Group, int] = field(default_factory=dict)

    @classmethod
    def of(cls, errors: FloatArray, groups: Sequence[Group]) -> "Calibration":
        """Return the calibration by held-out errors [N] and the group of each."""
        kinds, buckets = (np.array([g[i] for g in groups], dtype=np.int64) for i in (0, 1))
        limits: dict[Group, tuple[float, ...]] = {(ANY, ANY): _limits(errors, UNSEEN)}
        counts: dict[Group, int] = {(ANY, ANY): len(errors)}
        for kind in sorted(set(kinds.tolist())):
            rows = kinds == kind
            limits[kind, ANY] = _limits(errors[rows], limits[ANY, ANY])
            counts[kind, ANY] = int(rows.sum())
            for bucket in sorted(set(buckets[rows].tolist())):
                own = rows & (buckets == bucket)
                limits[kind, bucket] = _limits(errors[own], limits[kind, ANY])
                counts[kind, bucket] = int(own.sum())
        return cls(limits=limits, counts=counts)

    def quantiles(self, log_median: FloatArray, scale: FloatArray, groups: Sequence[Group]) -> FloatArray:
        """Return runtime quantiles [N, Q] at LEVELS around a median in ln seconds [N], rising along Q."""
        rows = np.array([self._of(group) for group in groups], dtype=np.float64).reshape(len(groups), len(LEVELS))
        log_values: FloatArray = log_median[:, None] + scale[:, None] * rows
        return log_values

    def _of(self, group: Group) -> tuple[float, ...]:
        """Return the limits of a group: its own, of the nearest bucket of its kind, of any."""
        kind, bucket = group
        if group in self.limits:
            return self.limits[group]
        near = [known for of, known in self.limits if of == kind and known != ANY]
        if near:
            return self.limits[kind, min(near, key=lambda known: (abs(known - bucket), known))]
        return self.limits.get((ANY, ANY), UNSEEN)


def _limits(errors: FloatArray, parent: tuple[float, ...]) -> tuple[float, ...]:
    """Return the limits of one group, mixed with its parent's while it is small; the median stays where it is."""
    if len(errors) < FEWEST:
        return parent
    trust = min(len(errors) / ENOUGH, 1.0)
    mixed = []
    for level, above in zip(LEVELS, parent, strict=True):
        own = conformal_quantile(errors, level)
        value = trust * own + (1 - trust) * above
        mixed.append(0.0 if level == 0.5 else min(value, 0.0) if level < 0.5 else max(value, 0.0))
    return tuple(mixed)
