"""Ridge and kernel ridge regressions of several targets on descriptors, averaged by their cross-validated error."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import FloatArray

MOST_ROWS = 900  # of a kernel ridge
FEWEST_FOR_KERNEL = 8
FOLDS = 3
SHARPNESS = 4.0  # an answer's weight falls with this power of its error
RIDGES = (1.0,)
NOISES = (0.01, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """A fitted ridge or kernel ridge. Shapes: support [M, F], weights [M, K] (linear: [F, K]), mean [K]."""

    support: FloatArray
    weights: FloatArray
    mean: FloatArray
    linear: bool

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the targets [N, K] (or [N]) at descriptors [N, F]."""
        basis = x - self.support[0] if self.linear else mixed_kernel(x, self.support)
        found: FloatArray = basis @ self.weights + self.mean
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regressor:
    """A weighted mean of regressions."""

    parts: tuple[Kernel, ...]
    weights: tuple[float, ...]

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the targets [N, K] at descriptors [N, F]."""
        found: FloatArray = np.sum([w * part(x) for w, part in zip(self.weights, self.parts, strict=True)], axis=0)
        return found


def squared_distance(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return squared distances [N, M] of rows."""
    distance: FloatArray = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(distance, 0.0)


def rbf(a: FloatArray, b: FloatArray, length: float) -> FloatArray:
    """Return the squared-exponential kernel [N, M]."""
    kernel: FloatArray = np.exp(-0.5 * squared_distance(a, b) / length**2)
    return kernel


def mixed_kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return half a linear kernel plus a squared-exponential one, both per square root of the width."""
    width = max(a.shape[1], 1)
    kernel: FloatArray = 0.5 * a @ b.T / width + rbf(a, b, width**0.5)
    return kernel


def ridge(x: FloatArray, y: FloatArray, *, strength: float) -> Kernel:
    """Return a ridge regression of y [N, K] on x [N, F]."""
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    around = x - centre
    weights = np.linalg.solve(around.T @ around + strength * np.eye(x.shape[1]), around.T @ (y - mean))
    return Kernel(support=centre[None], weights=weights, mean=mean, linear=True)


def kernel_ridge(x: FloatArray, y: FloatArray, *, noise: float) -> Kernel:
    """Return a kernel ridge regression of y [N, K] (or [N]) on at most MOST_ROWS rows, evenly drawn."""
    if len(x) > MOST_ROWS:
        chosen = np.random.default_rng(0).choice(len(x), MOST_ROWS, replace=False)
        x, y = x[chosen], y[chosen]
    mean = y.mean(axis=0)
    weights = np.linalg.solve(mixed_kernel(x, x) + noise * np.eye(len(x)), y - mean)
    return Kernel(support=x, weights=weights, mean=mean, linear=False)


def fit_regressor(x: FloatArray, y: FloatArray) -> Regressor:
    """Return the regressions that these rows can carry, weighted by their error over folds."""
    if len(x) < FEWEST_FOR_KERNEL:
        return Regressor(parts=(ridge(x, y, strength=3.0),), weights=(1.0,))
    fits: list[Callable[[FloatArray, FloatArray], Kernel]] = [
        *(lambda a, b, s=s: ridge(a, b, strength=s) for s in RIDGES),
        *(lambda a, b, n=n: kernel_ridge(a, b, noise=n) for n in NOISES),
    ]
    fold = np.random.default_rng(0).permutation(len(x)) % FOLDS
    error = np.zeros(len(fits))
    for number in range(FOLDS):
        out = fold == number
        for place, fit in enumerate(fits):
            error[place] += np.abs(fit(x[~out], y[~out])(x[out]) - y[out]).mean()
    weight = (error + 1e-9) ** -SHARPNESS
    return Regressor(parts=tuple(fit(x, y) for fit in fits), weights=tuple((weight / weight.sum()).tolist()))
