"""A ridge regression of latent vectors on descriptors, judged by leaving whole groups of alike members out.

Left out one by one, a member is guessed from its twins and the prior looks far too sure of itself for something new;
members whose descriptors cluster are left out together instead, by the closed form of the smoother's block.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dnaml.predict.paired.grid import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STRENGTHS = tuple(float(s) for s in np.geomspace(1e-3, 30.0, 10))  # of the mean diagonal of the kernel
SHARPNESS = 6.0  # a strength's weight falls with this power of its error
MEMBERS_PER_GROUP = 4.0
FEWEST_TO_GROUP, FEWEST_TO_REGRESS = 6, 4
LEAST_VARIANCE, LARGEST_VARIANCE = 4e-4, 9.0
LEAST_SCORE, LEAST_LEVEL = 1e-12, 1e-9
FEW = 2.0  # imaginary members of unit variance beside too few real ones


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorPrior:
    """Expected vectors and how far members lie from them. Shapes: weights [F, K], intercept [K], variance [K]."""

    weights: FloatArray
    intercept: FloatArray
    variance: FloatArray

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the expected vectors [N, K] of members described by x [N, F]."""
        expected: FloatArray = x @ self.weights + self.intercept
        return expected


class PriorFit:
    """Fits priors for one side again and again: what depends on the descriptors alone is decomposed once."""

    def __init__(self, x: FloatArray) -> None:
        self.x = x
        self.centre = x.mean(axis=0)
        around = (x - self.centre) / max(x.shape[1], 1) ** 0.5
        self.left, self.values, self.right = np.linalg.svd(around, full_matrices=False)
        self.groups = groups_of(x)
        level = float((self.values**2).sum()) / len(x)
        self.strengths = np.array(STRENGTHS) * max(level, LEAST_LEVEL)
        self.left_out = [self._left_out(strength) for strength in self.strengths]

    def _left_out(self, strength: float) -> "csr_array":
        """Return what turns errors of the fit [M, K] into errors of groups left out: block-diagonal [M, M]."""
        from scipy.sparse import csr_array

        shrunk = self.values**2 / (self.values**2 + strength)
        rows, columns, values = [], [], []
        for group in self.groups:
            block = (self.left[group] * shrunk) @ self.left[group].T + 1.0 / len(self.x)
            inverse = np.linalg.inv(1.0001 * np.eye(len(group)) - block)
            rows.append(np.repeat(group, len(group)))
            columns.append(np.tile(group, len(group)))
            values.append(inverse.ravel())
        where = np.concatenate(rows), np.concatenate(columns)
        return csr_array((np.concatenate(values), where), shape=(len(self.x), len(self.x)))

    def __call__(self, vectors: FloatArray, unsure: FloatArray) -> VectorPrior:
        """Return the prior of member vectors [M, K]; `unsure` [K] is the variance of the vectors themselves."""
        members, width = vectors.shape
        intercept = vectors.mean(axis=0)
        around = vectors - intercept
        if members < FEWEST_TO_REGRESS or self.x.shape[1] == 0:
            wide = ((around**2).sum(axis=0) + FEW) / (max(members - 1, 0) + FEW)
            variance = np.minimum(wide + unsure, LARGEST_VARIANCE)
            return VectorPrior(weights=np.zeros((self.x.shape[1], width)), intercept=intercept, variance=variance)
        errors, solutions = self._ridges(around)
        score = (errors**2).mean(axis=1)  # [L+1, K]
        weight = (np.maximum(score, LEAST_SCORE) / np.maximum(score.min(axis=0), LEAST_SCORE)) ** -SHARPNESS
        weight /= weight.sum(axis=0)
        mixed = np.einsum("lk,lmk->mk", weight, errors)
        slopes = np.einsum("lk,lfk->fk", weight[1:], solutions)
        variance = np.clip((mixed**2).mean(axis=0), LEAST_VARIANCE, LARGEST_VARIANCE)
        return VectorPrior(
            weights=slopes,
            intercept=intercept - self.centre @ slopes,
            variance=np.minimum(variance + unsure, LARGEST_VARIANCE),
        )

    def _ridges(self, around: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the errors of groups left out [L+1, M, K], first without any descriptor, and the slopes [L, F, K]."""
        members = len(around)
        errors = np.empty((len(STRENGTHS) + 1, *around.shape))
        solutions = np.empty((len(STRENGTHS), self.x.shape[1], around.shape[1]))
        projected = self.left.T @ around
        for group in self.groups:
            others = max(members - len(group), 1)
            errors[0, group] = around[group] + around[group].sum(axis=0) / others
        for place, strength in enumerate(self.strengths):
            shrunk = self.values**2 / (self.values**2 + strength)
            errors[place + 1] = self.left_out[place] @ (around - self.left @ (shrunk[:, None] * projected))
            slope = (self.values / (self.values**2 + strength))[:, None] * projected
            solutions[place] = self.right.T @ slope / max(self.x.shape[1], 1) ** 0.5
        return errors, solutions


def groups_of(x: FloatArray) -> list[IntArray]:
    """Return the members of each group of alike descriptors; each alone where there are few or none to tell by."""
    members = len(x)
    if members < FEWEST_TO_GROUP or x.shape[1] == 0:
        return [np.array([place]) for place in range(members)]
    from sklearn.cluster import AgglomerativeClustering

    label = AgglomerativeClustering(max(3, int(members / MEMBERS_PER_GROUP))).fit_predict(x)
    return [np.flatnonzero(label == number) for number in range(int(label.max()) + 1)]
