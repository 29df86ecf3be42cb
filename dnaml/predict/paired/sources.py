"""What the known entities say of items: their rows with the gaps filled, and rows guessed for items never seen.

A gap is first filled by the effects of entity and item, then by kernel ridge over the item's descriptors, then refined
by soft-thresholded SVD ("Spectral Regularization Algorithms for Learning Large Incomplete Matrices", 2010).
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import BoolArray, FloatArray, Grid, Members, Task
from dnaml.predict.paired.regress import Regressor, fit_regressor, kernel_ridge

EFFECT_ROUNDS = 30
ITEM_SHRINK, ENTITY_SHRINK = 0.05, 1e-3  # imaginary observations at the mean
FEWEST_FOR_RIDGE = 8  # known cells of an entity
SVD_ROUNDS, SVD_SHARE, SVD_TRUST = 15, 0.15, 0.5
MOST_FOR_SVD = 1_500_000  # cells
LEAST_SCALE = 0.02  # ln seconds
FEWEST_ITEMS = 12  # to learn what an unseen item's column looks like
ITEM_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sources:
    """Rows of known entities. Shapes: rows [S, I] ln seconds, filled; x [S, Fe]; item_effect [I]; entity_effect [S].

    `held_out` [S, I] and `item_effect_held_out` [I] are an item's column as guessed from its descriptors alone (None
    where items cannot be told apart). `scale` is the sd of what the effects leave.
    """

    items: Members
    rows: FloatArray
    held_out: FloatArray | None
    x: FloatArray
    item_effect: FloatArray
    item_effect_held_out: FloatArray | None
    entity_effect: FloatArray
    scale: float
    unseen: Regressor | None

    @classmethod
    def of(cls, grid: Grid, use: BoolArray, *, seed: int = 0) -> "Sources":
        """Return the sources of the entities marked in `use` [E]."""
        y = grid.y[use]
        item_effect, entity_effect = effects(y)
        left = y - item_effect - entity_effect[:, None]
        scale = max(float(np.nanstd(left)), LEAST_SCALE)
        rows = filled(y, item_effect + entity_effect[:, None], grid.items.x)
        target = np.concatenate([rows, item_effect[None]]).T
        held_out, unseen = None, None
        if grid.items.x.shape[1]:
            unseen = fit_regressor(grid.items.x, target)
            if len(grid.items) >= FEWEST_ITEMS:
                held_out = _held_out(grid.items.x, target, seed)
        return cls(
            items=grid.items,
            rows=rows,
            held_out=None if held_out is None else held_out[:, :-1].T,
            x=grid.entities.x[use],
            item_effect=item_effect,
            item_effect_held_out=None if held_out is None else held_out[:, -1],
            entity_effect=entity_effect,
            scale=scale,
            unseen=unseen,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def novelty(self, entity_x: FloatArray) -> float:
        """Return how far a description [Fe] lies from the nearest known one: root mean square over descriptors."""
        if self.x.size == 0:
            return 0.0
        return float(np.sqrt(((self.x - entity_x) ** 2).mean(axis=1).min()))

    def at(self, task: Task) -> tuple[FloatArray, FloatArray]:
        """Return the sources' rows [S, K+Q] and the item effects [K+Q] at a task's items, guessed where never seen."""
        known = task.item >= 0
        rows = self.rows[:, np.where(known, task.item, 0)]
        effect = self.item_effect[np.where(known, task.item, 0)]
        if not known.all():
            rows, effect = rows.copy(), effect.copy()
            if self.unseen is None:
                rows[:, ~known] = self.rows.mean(axis=1, keepdims=True)
                effect[~known] = self.item_effect.mean()
            else:
                guess = self.unseen(task.item_x[~known])
                rows[:, ~known], effect[~known] = guess[:, :-1].T, guess[:, -1]
        return rows, effect


def effects(y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the item effects [I] (with the mean) and entity effects [E] of a matrix [E, I] with gaps."""
    known = np.isfinite(y)
    value = np.where(known, y, 0.0)
    mean = float(value.sum() / max(known.sum(), 1))
    item, entity = np.zeros(y.shape[1]), np.zeros(y.shape[0])
    per_item, per_entity = known.sum(axis=0) + ITEM_SHRINK, known.sum(axis=1) + ENTITY_SHRINK
    for _ in range(EFFECT_ROUNDS):
        item = np.where(known, value - mean - entity[:, None], 0.0).sum(axis=0) / per_item
        entity = np.where(known, value - mean - item, 0.0).sum(axis=1) / per_entity
    return mean + item, entity


def filled(y: FloatArray, base: FloatArray, item_x: FloatArray) -> FloatArray:
    """Return the matrix [E, I] with its gaps filled."""
    known = np.isfinite(y)
    if known.all():
        return y.copy()
    rows = np.where(known, y, base)
    for e in np.flatnonzero(~known.all(axis=1) & (known.sum(axis=1) >= FEWEST_FOR_RIDGE)):
        if item_x.shape[1]:
            guess = kernel_ridge(item_x[known[e]], (y[e] - base[e])[known[e]], noise=0.1)
            rows[e, ~known[e]] += guess(item_x[~known[e]])
    if (~known).mean() > 0.02 and min(y.shape) > 4 and y.size <= MOST_FOR_SVD:
        rows = _refined(rows - base, known) + base
    return np.where(known, y, rows)


def _refined(left: FloatArray, known: BoolArray) -> FloatArray:
    """Return what the effects leave [E, I], its gaps drawn halfway to a low-rank matrix, round by round."""
    first, threshold = left, 0.0
    for _ in range(SVD_ROUNDS):
        u, values, v = np.linalg.svd(left, full_matrices=False)
        threshold = threshold or SVD_SHARE * float(values[0])
        low_rank = (u * np.maximum(values - threshold, 0.0)) @ v
        left = np.where(known, first, SVD_TRUST * low_rank + (1 - SVD_TRUST) * first)
    return left


def _held_out(item_x: FloatArray, target: FloatArray, seed: int) -> FloatArray:
    """Return each item's target [I, S+1] as guessed from the other folds' items."""
    fold = np.random.default_rng(seed).permutation(len(item_x)) % ITEM_FOLDS
    guess = np.empty_like(target)
    for number in range(ITEM_FOLDS):
        out = fold == number
        guess[out] = fit_regressor(item_x[~out], target[~out])(item_x[out])
    return guess
