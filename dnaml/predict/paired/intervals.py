"""How wide intervals must be: a scale learned on replays, then split conformal limits by number of probes.

Replayed entities are like the known ones; a target that is not shows it by the errors on its own probes, each left out
in turn, and these widen (or narrow) its scale. Entities are replayed in groups and so are far from those left to learn
from; how far tells how much nearer a target may be, and its interval narrower.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.predict.calibration import Calibration
from dnaml.predict.paired.gate import bucket_of
from dnaml.predict.paired.grid import FloatArray

LEAST_SD = 0.01  # ln seconds
RIDGE, NOVELTY_RIDGE = 0.1, 0.15  # the second per episode, over the number of entities: few tell no slope
OWN_TRUST = 3.0  # probes' worth of trust in the replays' typical error
OWN_POWER = 0.85  # by which the scale follows own errors: left out, probes err more than what is asked about
FEWEST_OWN = 2  # probes before their errors say anything
LEAST_NOVELTY, NEAREST_PERCENT = 0.3, 10.0  # added before the logarithm; replays nearer than this share say no more


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blend:
    """A blended answer to one task. Shapes: mean, sd, spread (sd of experts around the mean) [Q].

    `novelty` is how far the entity lies from the nearest known one, in sds of a descriptor.
    """

    mean: FloatArray
    sd: FloatArray
    spread: FloatArray
    own_error: float
    probes: int
    unseen: bool
    novelty: float = 0.0

    @classmethod
    def of(
        cls,
        means: FloatArray,
        sds: FloatArray,
        own_errors: FloatArray,
        weights: FloatArray,
        *,
        probes: int,
        unseen: bool,
        novelty: float = 0.0,
    ) -> "Blend":
        """Return the blend of experts [Q, J] by weights [J]; one that said nothing (NaN) has weight 0."""
        means, sds = np.where(weights > 0, means, 0.0), np.where(weights > 0, sds, 0.0)
        mean = means @ weights
        spread = np.sqrt(((means - mean[:, None]) ** 2) @ weights)
        known = np.isfinite(own_errors) & (weights > 0)
        share = weights[known].sum()
        own = float(own_errors[known] @ weights[known] / share) if share > 0 else float("nan")
        return cls(
            mean=mean,
            sd=np.sqrt(sds**2 @ weights),
            spread=spread,
            own_error=own,
            probes=probes,
            unseen=unseen,
            novelty=novelty,
        )

    @property
    def group(self) -> tuple[int, int]:
        """Return the group that its errors are calibrated in."""
        return int(self.unseen), bucket_of(self.probes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """The fitted scale and limits; `typical` is the replays' median error on own probes per bucket, `nearest` and
    `farthest` bound the novelty that the replays speak of.
    """

    weights: FloatArray
    typical: dict[int, float]
    calibration: Calibration
    nearest: float = 0.0
    farthest: float = 0.0

    @classmethod
    def of(cls, blends: Sequence[Blend], truths: Sequence[FloatArray]) -> "Intervals":
        """Return the intervals that replayed blends and their truths ask for."""
        typical = _typical(blends)
        nearest, farthest = np.percentile([blend.novelty for blend in blends], [NEAREST_PERCENT, 100.0]).tolist()
        rows = np.concatenate([_basis(blend, nearest, farthest) for blend in blends])
        own = np.concatenate([np.full(len(b.mean), _own_factor(b, typical)) for b in blends])
        error = np.concatenate([truth - blend.mean for blend, truth in zip(blends, truths, strict=True)])
        weight = np.concatenate([np.full(len(truth), 1.0 / len(truth)) for truth in truths])
        target = np.log(np.abs(error) / own + LEAST_SD)
        ridge = np.full(rows.shape[1], RIDGE)
        ridge[-1] += NOVELTY_RIDGE * len(blends) / len({blend.novelty for blend in blends})
        left = rows.T * weight
        solved = np.linalg.solve(left @ rows + np.diag(ridge), left @ target)
        scale = np.exp(rows @ solved) * own
        groups = [blend.group for blend in blends for _ in blend.mean]
        return cls(
            weights=solved,
            typical=typical,
            calibration=Calibration.of(error / scale, groups),
            nearest=nearest,
            farthest=farthest,
        )

    def quantiles(self, blend: Blend) -> FloatArray:
        """Return the quantiles [Q, L] of ln seconds at LEVELS."""
        basis = _basis(blend, self.nearest, self.farthest)[:, : len(self.weights)]  # a model may know no novelty
        scale = np.exp(basis @ self.weights) * _own_factor(blend, self.typical)
        return self.calibration.quantiles(blend.mean, scale, [blend.group] * len(blend.mean))


def _basis(blend: Blend, nearest: float, farthest: float) -> FloatArray:
    novelty = np.log(float(np.clip(blend.novelty, nearest, farthest)) + LEAST_NOVELTY)
    ones = np.ones(len(blend.mean))
    logs = [np.log(values + LEAST_SD) for values in (blend.sd, blend.spread)]
    known = (np.log1p(blend.probes), float(blend.unseen), novelty)
    return np.stack([ones, *logs, *(ones * value for value in known)], axis=1)


def _typical(blends: Sequence[Blend]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for blend in blends:
        if np.isfinite(blend.own_error):
            found.setdefault(bucket_of(blend.probes), []).append(blend.own_error)
    return {bucket: max(float(np.median(errors)), LEAST_SD) for bucket, errors in found.items()}


def _own_factor(blend: Blend, typical: dict[int, float]) -> float:
    if not typical or blend.probes < FEWEST_OWN or not np.isfinite(blend.own_error):
        return 1.0
    bucket = bucket_of(blend.probes)
    usual = typical[min(typical, key=lambda known: (abs(known - bucket), known))]  # more probes than were replayed
    squared = (OWN_TRUST * usual**2 + blend.probes * blend.own_error**2) / (OWN_TRUST + blend.probes)
    return float((np.sqrt(squared) / usual) ** OWN_POWER)
