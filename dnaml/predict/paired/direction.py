"""One direction of the learned model: experts fitted on every entity, the weights of each, and calibrated intervals."""

from dataclasses import dataclass, replace

import numpy as np

from dnaml.predict.paired.gate import Gate, fit_gate
from dnaml.predict.paired.grid import FloatArray, Grid, Joint, Task
from dnaml.predict.paired.intervals import Blend, Intervals
from dnaml.predict.paired.members import Fitted, arrays_of
from dnaml.predict.paired.replay import FEWEST_ENTITIES, Episode, folds_of, replay


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Direction:
    """The fitted model of new entities over known items; None of it exists for a grid that is too small."""

    grid: Grid
    fitted: Fitted
    gate: Gate
    intervals: Intervals

    @classmethod
    def fit(cls, grid: Grid, *, seed: int = 0) -> "Direction | None":
        """Return the direction of a grid; None when too few entities are there to hold any out."""
        direction, _ = fit_with_episodes(grid, seed=seed)
        return direction

    def refitted(self, grid: Grid, *, seed: int = 0) -> "Direction | None":
        """Return the direction of some of its runs: experts fitted anew, weighed and calibrated as these are.

        None for a grid on which `fit` would have nothing to hold out.
        """
        if len(grid.entities) < FEWEST_ENTITIES:
            return None
        fitted = Fitted.of(grid, np.ones(len(grid.entities), dtype=np.bool_), seed=seed)
        return replace(self, grid=grid, fitted=fitted) if set(fitted.members) & set(self.gate.names) else None

    def blend(self, task: Task) -> Blend:
        """Return the blended answer to a task."""
        said = self.fitted.answers(task)
        means, sds, own = arrays_of(said, self.gate.names, task.asked)
        unseen = bool((task.item[task.probes :] < 0).any())
        novelty = self.fitted.sources.novelty(task.entity_x)
        return _blended(self.gate, means, sds, own, task.probes, unseen, novelty)

    def joint(self, task: Task) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean [Q], covariance [Q, Q] without noise, and noise variance [Q] of ln seconds.

        The mean is the blend's; the covariance that of the experts which know one, by the weights of the blend.
        """
        said = self.fitted.answers(task)
        means, sds, own = arrays_of(said, self.gate.names, task.asked)
        blend = _blended(self.gate, means, sds, own, task.probes, bool((task.item[task.probes :] < 0).any()))
        weights = dict(zip(self.gate.names, self.gate.weights_of(means, own, task.probes, blend.unseen), strict=True))
        knowing = {n: m for n, m in self.fitted.members.items() if isinstance(m, Joint) and weights.get(n, 0.0) > 0}
        total = sum(weights[name] for name in knowing)
        covariance, noise = np.zeros((task.asked, task.asked)), np.zeros(task.asked)
        for name, member in knowing.items():
            _, within, of_run = member.joint(task, self.fitted.sources)
            covariance += weights[name] / total * within
            noise += weights[name] / total * of_run
        return blend.mean, covariance, noise

    def quantiles(self, task: Task) -> FloatArray:
        """Return quantiles [Q, L] of ln seconds at LEVELS."""
        return self.intervals.quantiles(self.blend(task))


def fit_with_episodes(grid: Grid, *, seed: int = 0) -> tuple[Direction | None, list[Episode]]:
    """Return the direction of a grid and the replays it learned from."""
    folds = folds_of(grid, seed=seed)
    everyone = np.ones(len(grid.entities), dtype=np.bool_)
    *fits, whole = Fitted.each([*((fold.grid, fold.entities) for fold in folds), (grid, everyone)], seed=seed)
    names = tuple(name for name in whole.members if any(name in fit.members for fit in fits))
    episodes = replay(grid, folds, fits, names, seed=seed) if names else []
    if not episodes:
        return None, []
    gate = fit_gate(episodes, names, whole.sources.scale, len(grid.entities))
    blends = [_blended(gate, e.means, e.sds, e.own_errors, e.task.probes, e.unseen, e.novelty) for e in episodes]
    intervals = Intervals.of(blends, [episode.truth for episode in episodes])
    return Direction(grid=grid, fitted=whole, gate=gate, intervals=intervals), episodes


def _blended(
    gate: Gate, means: FloatArray, sds: FloatArray, own: FloatArray, probes: int, unseen: bool, novelty: float = 0.0
) -> Blend:
    weights = gate.weights_of(means, own, probes, unseen)
    return Blend.of(means, sds, own, weights, probes=probes, unseen=unseen, novelty=novelty)
