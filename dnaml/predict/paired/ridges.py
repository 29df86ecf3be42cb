"""Whole rows of known entities regressed on their descriptions, and what is left of each row when it is left out.

How much is left out with a row depends on who asks: an entity unlike any known one is judged by rows left out together
with all those that are nearer to them than its own nearest known entity is to it.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import FloatArray, IntArray
from dnaml.predict.paired.regress import rbf, squared_distance

NEIGHBOURS = (0, 1, 3, 8, 20)  # left out with a row at each level, on average
MOST_LEFT_OUT_SHARE, MOST_LEFT_OUT = 0.5, 40  # of the rows, and rows
LEAST_FREE = 1e-5  # share of a row that the others do not foretell, added
FEWEST_FOR_LEVELS = 6
MOST_FOR_LEVELS = 320  # rows: of more, each is left out alone
# what sets a new entity apart may have no column yet, so its squared distance counts twice
UNSEEN_FACTOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """A kernel ridge on descriptions: shares of the linear and of the squared-exponential kernel, and its strength.

    Without any kernel it is the mean row.
    """

    linear: float = 0.0
    smooth: float = 0.0
    strength: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ridges:
    """L ridges fitted to S rows, in a basis of R directions. Shapes: x [S, F]; weights [L, S, R] of kernels with known
    entities; centre [2, S], middle [2] of kernels; radii [V] of levels; left [V, L, R, R], the covariance of rows left
    out; error [V, L] their mean square; spread [V] that of their shapes.
    """

    x: FloatArray
    shares: FloatArray
    weights: FloatArray
    centre: FloatArray
    middle: FloatArray
    radii: FloatArray
    left: FloatArray
    error: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, x: FloatArray, around: FloatArray, basis: FloatArray, ridges: tuple[Ridge, ...]) -> "Ridges":
        """Return the ridges of rows around their mean [S, I], described by x [S, F]; basis [S, R] is orthonormal."""
        members, wide = basis.shape
        kernels = _kernels(x, x)
        centre, middle = kernels.mean(axis=1), kernels.mean(axis=(1, 2))
        centred = kernels - centre[:, None] - centre[:, :, None] + middle[:, None, None]
        radii, near = _levels(x)
        weights = np.zeros((len(ridges), members, wide))
        left = np.zeros((len(radii), len(ridges), wide, wide))
        error, spread = np.zeros((len(radii), len(ridges))), np.zeros((len(radii), len(ridges)))
        shape = around - around.mean(axis=1, keepdims=True)
        grams = np.stack([rows @ rows.T / rows.shape[1] for rows in (around, shape)])
        for place, ridge in enumerate(ridges):
            kernel = ridge.linear * centred[0] + ridge.smooth * centred[1]
            inverse = np.linalg.inv(kernel + ridge.strength * np.eye(members))
            weights[place] = inverse @ basis
            apart = np.eye(members) - kernel @ inverse - 1.0 / members
            for level, others in enumerate(near):
                residual = _left_out(apart, others)
                turned = residual @ basis
                left[level, place] = turned.T @ turned / members
                error[level, place], spread[level, place] = ((residual @ grams) * residual).sum(axis=(1, 2)) / members
        return cls(
            x=x,
            shares=np.array([(ridge.linear, ridge.smooth) for ridge in ridges]),
            weights=weights,
            centre=centre,
            middle=middle,
            radii=radii,
            left=left,
            error=error,
            spread=spread.mean(axis=1),
        )

    def level(self, x: FloatArray) -> int:
        """Return the level at which rows are left out for an entity described by x [F]."""
        nearest = float(squared_distance(x[None], self.x).min()) * UNSEEN_FACTOR
        return int(np.searchsorted(self.radii, nearest**0.5, side="right")) - 1

    def pull(self, x: FloatArray) -> FloatArray:
        """Return how far each ridge moves an entity described by x [F] from the mean row, in the basis [L, R]."""
        kernels = _kernels(x[None], self.x)[:, 0]
        centred = kernels - kernels.mean(axis=1, keepdims=True) - self.centre + self.middle[:, None]
        found: FloatArray = np.einsum("ls,lsr->lr", self.shares @ centred, self.weights)
        return found


def _kernels(x: FloatArray, z: FloatArray) -> FloatArray:
    """Return the linear and the squared-exponential kernel [2, N, M], of the same size."""
    width = x.shape[1]
    if width == 0:
        return np.zeros((2, len(x), len(z)))
    return np.stack([x @ z.T, width * rbf(x, z, width**0.5)])


def _levels(x: FloatArray) -> tuple[FloatArray, list[list[IntArray]]]:
    """Return radii [V], rising from 0, and for each radius every row's place with those nearer to it than that."""
    members = len(x)
    alone = [np.array([place]) for place in range(members)]
    if not FEWEST_FOR_LEVELS <= members <= MOST_FOR_LEVELS or x.shape[1] == 0:
        return np.zeros(1), [alone]
    distance = np.sqrt(squared_distance(x, x))
    np.fill_diagonal(distance, -1.0)  # a row comes first among its like
    order = np.argsort(distance, axis=1, kind="stable")
    apart = np.sort(distance[~np.eye(members, dtype=np.bool_)])
    most = min(int(MOST_LEFT_OUT_SHARE * members), MOST_LEFT_OUT)
    radii, near = [0.0], [alone]
    for count in NEIGHBOURS[1:]:
        radius = float(apart[min(count * members, len(apart) - 1)])
        if count < most and radius > radii[-1]:
            inside = np.clip((distance < radius).sum(axis=1), 1, most)
            radii.append(radius)
            near.append([row[:number] for row, number in zip(order, inside, strict=True)])
    return np.array(radii), near


def _left_out(apart: FloatArray, near: list[IntArray]) -> FloatArray:
    """Return the matrix [S, S] that takes rows to what is left of each when it and those near it are left out."""
    members, most = len(apart), max(len(others) for others in near)
    place = np.zeros((members, most), dtype=np.int64)  # the row itself first; padded
    inside = np.zeros((members, most), dtype=np.bool_)
    for row, others in enumerate(near):
        place[row, : len(others)], inside[row, : len(others)] = others, True
    blocks = np.where(inside[:, :, None] & inside[:, None], apart[place[:, :, None], place[:, None]], 0.0)
    blocks += np.eye(most) * np.where(inside, LEAST_FREE, 1.0)[:, None]
    first = np.zeros((members, most, 1))
    first[:, 0] = 1.0
    share = np.zeros((members, members))
    np.add.at(share, (np.arange(members)[:, None], place), np.linalg.solve(blocks, first)[..., 0] * inside)
    return share @ apart
