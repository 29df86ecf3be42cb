"""A Gaussian process over items whose kernel is how alike they ran on the known entities, and how alike they look.

Its few settings are chosen by asking the same question of the known entities, one after the other, and by how well
the target's own probes tell each other.
"""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.prediction.peers.history import Floats, History, Peer, log_runtimes, ridge

Ints = npt.NDArray[np.intp]
_MOST_FITTED = 900  # items of a kernel regression
_REPLAYED, _DRAWS, _ASKED = 12, 3, 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Weights of the kernel: alike on the sources, alike in quantities, alike in looks, steeper; and the noise."""

    sources: float
    quantities: float
    looks: float
    slope: float
    noise: float


_GRID = tuple(
    Setting(sources=a, quantities=q, looks=b, slope=s, noise=n)
    for a, q, b, s, n in product((0.3, 1.0), (0.0, 0.3, 1.0), (0.0, 0.1, 1.0), (0.0, 0.3), (0.02, 0.1))
)


class SimilarityProcess(Peer):
    """The mean of the sources, moved by a Gaussian process on the probes."""

    name: ClassVar[str] = "similarity process"

    def __init__(self, train: pd.DataFrame, side: str) -> None:
        super().__init__(train, side)
        self.filled = _filled(self.history)  # [I, E]
        self.replayed: dict[int, Floats] = {}

    def predict(self, probes: pd.DataFrame, pairs: pd.DataFrame) -> Floats | None:
        """Return runtimes [N]."""
        space = self._space(probes, pairs)
        seen, asked = np.arange(len(probes)), np.arange(len(probes), len(probes) + len(pairs))
        setting = self._setting(space, seen, log_runtimes(probes))
        return np.exp(space.answer(seen, log_runtimes(probes), asked, setting))

    def _space(self, *frames: pd.DataFrame) -> "_Space":
        """Return the items of these rows, in their order, as known or told by their features."""
        rows = pd.concat([frame[[self.history.item, *self.history.columns]] for frame in frames])
        at = self.history.places(rows)
        described = self.history.of_items(rows)
        sources = self.filled[at].copy()
        if (at < 0).any():
            sources[at < 0] = _told(self.history.features, self.filled, described[at < 0])
        return _Space(sources, described, self.history.features)

    def _setting(self, space: "_Space", seen: Ints, y: Floats) -> Setting:
        count = len(y)
        if count not in self.replayed:
            self.replayed[count] = self._replay(count)
        score = np.log(self.replayed[count])
        if count >= 4:
            own = np.array([space.left_out_error(seen, y, setting) for setting in _GRID])
            score = score + count / (count + 5) * np.log(own + 1e-3)
        return _GRID[int(score.argmin())]

    def _replay(self, count: int) -> Floats:
        """Return the median error of each setting when each of up to twelve sources is the target."""
        chance, errors = np.random.default_rng(0), np.full(len(_GRID), 1e-3)
        entities = self.filled.shape[1]
        if entities < 3:
            return errors
        for target in chance.permutation(entities)[:_REPLAYED]:
            space = _Space(np.delete(self.filled, target, axis=1), self.history.features, self.history.features)
            for _ in range(_DRAWS):
                chosen = chance.permutation(len(self.filled))[: count + _ASKED]
                seen, asked = chosen[:count], chosen[count:]
                if len(asked) >= 2:
                    y, truth = self.filled[seen, target], self.filled[asked, target]
                    answers = (space.answer(seen, y, asked, setting) for setting in _GRID)
                    errors += [np.median(np.abs(answer - truth)) for answer in answers]
        return errors


class _Space:
    """Items [N] with their runtimes on the sources [N, E] and their features [N, F], made comparable."""

    def __init__(self, sources: Floats, features: Floats, known: Floats) -> None:
        self.mean = sources.mean(axis=1)
        shape = sources - self.mean[:, None]
        self.shape = (shape - shape.mean(axis=0)) / np.sqrt(shape.shape[1])
        self.variance = float((self.shape**2).sum(axis=1).mean()) + 1e-9
        varied = known.std(axis=0) > 1e-6
        scaled = (features[:, varied] - known[:, varied].mean(axis=0)) / known[:, varied].std(axis=0)
        self.looks = scaled / max(np.sqrt(scaled.shape[1]), 1.0)
        several = np.array([len(np.unique(column)) > 2 for column in known[:, varied].T], dtype=bool)
        quantities = scaled[:, several] if len(several) else scaled
        self.quantities = quantities / max(np.sqrt(quantities.shape[1]), 1.0)

    def answer(self, seen: Ints, y: Floats, asked: Ints, setting: Setting) -> Floats:
        """Return ln runtimes [M] of the asked items from those y [K] of the seen ones."""
        left = y - self.mean[seen]
        level = float(np.median(left))
        weights = np.linalg.solve(self._noisy(seen, setting), left - level)
        found: Floats = self.mean[asked] + level + self._kernel(asked, seen, setting) @ weights
        return found

    def left_out_error(self, seen: Ints, y: Floats, setting: Setting) -> float:
        """Return the mean absolute error of each probe told by the others."""
        left = y - self.mean[seen]
        inverse = np.linalg.inv(self._noisy(seen, setting))
        return float(np.abs(inverse @ (left - np.median(left)) / np.diag(inverse)).mean())

    def _noisy(self, seen: Ints, setting: Setting) -> Floats:
        noise = (setting.noise * self.variance + 1e-6) * np.eye(len(seen))
        noisy: Floats = self._kernel(seen, seen, setting) + noise
        return noisy

    def _kernel(self, one: Ints, other: Ints, setting: Setting) -> Floats:
        steep = self.mean - self.mean.mean()
        kernel = setting.sources * self.shape[one] @ self.shape[other].T + 0.5 * self.variance
        kernel += 0.1 * setting.slope * np.outer(steep[one], steep[other])
        if setting.quantities:
            kernel += setting.quantities * self.variance * self.quantities[one] @ self.quantities[other].T
        if setting.looks:
            kernel += setting.looks * self.variance * _alike(self.looks[one], self.looks[other])
        found: Floats = kernel
        return found


def _alike(one: Floats, other: Floats) -> Floats:
    """Return exp(-d^2 / 2) of all pairs [N, M]."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    near: Floats = np.exp(-0.5 * np.maximum(squares, 0))
    return near


def _filled(history: History) -> Floats:
    """Return the logs [I, E] without gaps: the additive model plus, from eight runs on, a regression of the rest."""
    additive = history.item_effect[:, None] + history.entity_effect
    filled = np.where(np.isnan(history.logs), additive, history.logs)
    for entity in np.flatnonzero(np.isnan(history.logs).any(axis=0)):
        known = ~np.isnan(history.logs[:, entity])
        if known.sum() >= 8:
            left = history.logs[known, entity] - additive[known, entity]
            filled[~known, entity] += _told(history.features[known], left, history.features[~known])
    return filled


def _told(known: Floats, y: Floats, asked: Floats) -> Floats:
    """Return what features tell of y [N] or [N, T]: kernel and linear ridge, weighted by their error on a fifth."""
    if len(known) > _MOST_FITTED:
        chosen = np.random.default_rng(0).choice(len(known), _MOST_FITTED, replace=False)
        known, y = known[chosen], y[chosen]
    if len(known) < 60:
        return _kernel_ridge(known, y, asked)
    order = np.random.default_rng(0).permutation(len(known))
    held, kept = order[: len(known) // 5], order[len(known) // 5 :]
    ways = (_kernel_ridge, ridge)
    errors = np.array([np.abs(way(known[kept], y[kept], known[held]) - y[held]).mean() + 1e-9 for way in ways])
    shares = errors**-4 / (errors**-4).sum()
    told: Floats = sum(share * way(known, y, asked) for share, way in zip(shares, ways, strict=True))
    return told


def _kernel_ridge(known: Floats, y: Floats, asked: Floats) -> Floats:
    """Return a ridge regression's answer under a linear plus Gaussian kernel."""
    spread = known.std(axis=0)
    spread = np.where(spread < 1e-3, 1.0, spread) * max(np.sqrt(known.shape[1]), 1.0)
    x, z = (known - known.mean(axis=0)) / spread, (asked - known.mean(axis=0)) / spread
    middle = y.mean(axis=0)
    kernel = 0.5 * x @ x.T + _alike(x, x) + 0.01 * np.eye(len(x))
    answer: Floats = middle + (0.5 * z @ x.T + _alike(z, x)) @ np.linalg.solve(kernel, y - middle)
    return answer
