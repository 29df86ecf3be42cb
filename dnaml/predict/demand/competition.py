"""Forecasters in competition: each counts by how good it was of late, and what they say together is calibrated.

Weights are `exp(-sharpness * loss)` of discounted pinball losses, relative to the best; the answer is the weighted
mean of their quantiles. Calibration moves the levels: the level asked is looked up among the levels at which recent
values really fell (rolling conformal), so that 98 % covers 98 % of what came.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from dnaml.predict.demand.forecaster import LEVELS, FloatArray, Forecaster
from dnaml.predict.demand.scores import pinball

_LEVELS = np.array(LEVELS)


class Competition:
    """Forecasts `ahead` bins ahead by several forecasters; itself a forecaster."""

    def __init__(
        self,
        forecasters: Sequence[Forecaster],
        ahead: int,
        *,
        memory: float = 100.0,
        sharpness: float = 12.0,
        calibrates: bool = True,
    ) -> None:
        self.name = "competition"
        self._forecasters = tuple(forecasters)
        self._said: deque[list[FloatArray | None]] = deque(maxlen=ahead + 1)
        self._mixed: deque[FloatArray | None] = deque(maxlen=ahead + 1)
        self._losses = np.full(len(self._forecasters), np.nan)
        self._forget = 1 - 0.5 ** (1 / memory)
        self._sharpness = sharpness
        self._calibration = Calibration() if calibrates else None
        self._bins = 0

    @property
    def weights(self) -> FloatArray:
        """Return how much each forecaster counts [M]; together 1, and 0 for one that has not forecast yet."""
        judged = ~np.isnan(self._losses)
        if not judged.any():
            return np.zeros(len(self._losses))
        best = max(float(np.nanmin(self._losses)), 1e-12)
        behind = np.where(judged, (np.nan_to_num(self._losses) - best) / best, np.inf)
        weights = np.exp(-self._sharpness * np.minimum(behind, 50.0)) * judged
        shares: FloatArray = weights / weights.sum()
        return shares

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the forecasters [M]."""
        return tuple(one.name for one in self._forecasters)

    def learn(self, values: Sequence[float]) -> None:
        """Take in bins of long ago, of which nothing needs to be forecast: nobody is judged by them."""
        for one in self._forecasters:
            for value in values:
                one.observe(value)
        self._bins += len(values)

    def observe(self, value: float) -> None:
        """Take in the demand of the next bin: judge what was said of it, then let everybody learn."""
        if len(self._said) == self._said.maxlen:
            self._judge(value)
        for one in self._forecasters:
            one.observe(value)
        self._said.append([one.forecast() for one in self._forecasters])
        self._mixed.append(self._mix(self._said[-1]))
        self._bins += 1

    def forecast(self) -> FloatArray | None:
        """Return quantiles [K] at LEVELS; None while no forecaster has an answer."""
        mixed = self._mixed[-1] if self._mixed else None
        if mixed is None or self._calibration is None:
            return mixed
        return self._calibration.corrected(mixed)

    def _judge(self, value: float) -> None:
        for place, said in enumerate(self._said[0]):
            if said is None:
                continue
            loss = pinball(value, said)
            before = self._losses[place]
            self._losses[place] = loss if before != before else before + self._forget * (loss - before)
        mixed = self._mixed[0]
        if mixed is not None and self._calibration is not None:
            self._calibration.observe(value, mixed)

    def _mix(self, said: Sequence[FloatArray | None]) -> FloatArray | None:
        answers = [(one, weight) for one, weight in zip(said, self.weights, strict=True) if one is not None]
        if not answers:
            return None
        weights = np.array([weight for _, weight in answers])
        if weights.sum() == 0:
            weights = np.ones(len(answers))
        mixed: FloatArray = (weights / weights.sum()) @ np.stack([one for one, _ in answers])
        return np.maximum.accumulate(np.maximum(mixed, 0.0))


class Calibration:
    """Learns at which levels values really fell, newer ones counting more, and moves the levels asked accordingly."""

    def __init__(self, *, memory: int = 300, least: int = 60) -> None:
        self._levels: deque[float] = deque(maxlen=2 * memory)
        self._least = least

    def observe(self, value: float, said: FloatArray) -> None:
        """Take in where a value fell in what was said of it; a value among equal quantiles falls in their middle."""
        low, high = np.searchsorted(said, value, side="left"), np.searchsorted(said, value, side="right")
        if high > low:
            level = (_LEVELS[low] + _LEVELS[high - 1]) / 2
        elif low == len(said):
            level = 1.0
        else:
            under = 0.0 if low == 0 else _LEVELS[low - 1]
            level = (under + _LEVELS[low]) / 2
        self._levels.append(float(level))

    def corrected(self, said: FloatArray) -> FloatArray:
        """Return the quantiles [K] with the levels moved half of the way to where values really fell."""
        if len(self._levels) < self._least:
            return said
        fell = np.quantile(np.array(self._levels), _LEVELS)
        moved = np.clip(0.5 * fell + 0.5 * _LEVELS, _LEVELS[0], _LEVELS[-1])
        quantiles: FloatArray = np.maximum.accumulate(np.interp(moved, _LEVELS, said))
        return quantiles
