"""A log-normal model of runtimes, closed form: a kernel's own runs, filled up by what all kernels have in common.

For kernel k at size s on resource r, with every term Gaussian:

    ln T(k,s,r) = offset_k + slope_k . ln s + size_ks + u_kr + slope_kr . ln s + cell_ksr + noise,   u_k ~ N(shift, S)

`shift` [R] and `S` [R, R] say how resources usually relate; they and the spreads are learned from all kernels
(`learn`). A kernel's own cells then give the exact posterior (`Posterior`). Numpy only; no pandas, no scikit-learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dnaml.predict.bound import TRAITS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_N = TypeVar("_N", np.float64, np.int64)

STEPS = 4  # of expectation-maximisation: the prior is strong, more changes nothing that matters
SPREADS_AT = 2  # the step after which the spreads are chosen
SHIFT_SD = 0.7  # of ln speed around what the spec suggests
SHIFT_KERNELS = 0.3  # weight of the specs' word on speed, in kernels
UNTOLD_SD = 0.25  # of how a kernel takes to a resource, beside what specs can tell
PRIOR_KERNELS = 6.0  # weight of the specs' word on how resources relate, in kernels
PADDING_VARIANCE = 1e6
_SLAB = 1 << 17  # multiplications of one product: OpenBLAS wakes its threads from twice as many on


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Where the model is asked or observed: size [..., M, F] of ln sizes; codes of bucket, item, resource [..., M]."""

    size: FloatArray
    bucket: IntArray
    item: IntArray
    resource: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """What was measured: `count` runs at each point, `mean` and `scatter` (sum of squared deviations) of ln runtime."""

    at: Points
    count: FloatArray
    mean: FloatArray
    scatter: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prior:
    """What kernels have in common; the plain numbers are standard deviations of ln T, but `offset` and `slope`.

    Shapes: shift [R], covariance [R, R], traits [R, 1 + P] of the specs, from which both start. One that is only asked
    has the covariance [R, K] with the first K resources, those that ran, and variances `own` [R] beside.
    """

    shift: FloatArray
    covariance: FloatArray
    traits: FloatArray
    offset: float = 0.0
    offset_sd: float = 3.0
    slope: float = 0.8
    slope_sd: float = 0.7
    resource_slope_sd: float = 0.05
    bucket_sd: float = 0.25
    item_sd: float = 0.10
    cell_sd: float = 0.10
    noise_sd: float = 0.08
    widen: float = 1.0
    own: FloatArray | None = None

    def between(self, a: Points, b: Points) -> FloatArray:
        """Return the prior covariance [..., M, N] of ln T at two sets of points."""
        dot = a.size @ np.swapaxes(b.size, -1, -2)
        bucket = a.bucket[..., :, None] == b.bucket[..., None, :]
        resource = a.resource[..., :, None] == b.resource[..., None, :]
        item = a.item[..., :, None] == b.item[..., None, :]
        cov = self.covariance[a.resource[..., :, None], b.resource[..., None, :]] + self.offset_sd**2
        cov = cov + self.slope_sd**2 * dot + self.resource_slope_sd**2 * dot * resource
        cov += self.bucket_sd**2 * bucket + self.item_sd**2 * item + self.cell_sd**2 * (bucket & resource & item)
        return np.asarray(cov, dtype=np.float64)

    def mean(self, at: Points) -> FloatArray:
        """Return the prior mean [..., M] of ln T."""
        mean: FloatArray = self.offset + self.slope * at.size.sum(axis=-1) + self.shift[at.resource]
        return mean

    def variance(self, at: Points) -> FloatArray:
        """Return the prior variance [..., M] of ln T, noise left out."""
        square = (at.size**2).sum(axis=-1)
        spread = self.offset_sd**2 + self.bucket_sd**2 + self.item_sd**2 + self.cell_sd**2
        own = (np.diagonal(self.covariance) if self.own is None else self.own)[at.resource]
        variance: FloatArray = own + spread + (self.slope_sd**2 + self.resource_slope_sd**2) * square
        return variance

    @classmethod
    def of_specs(cls, traits: Sequence[Sequence[float]]) -> "Prior":
        """Return the prior before any run: speed by spec, and resources related that stand out in the same rates."""
        rows = np.array(traits, dtype=np.float64).reshape(len(traits), TRAITS)
        return cls(shift=-rows[:, 0], covariance=kinship(rows, rows) + UNTOLD_SD**2 * np.eye(len(rows)), traits=rows)


def kinship(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the covariance [N, M] of kernels' rows by traits: as if each kernel leant on a few of the rates."""
    related: FloatArray = one[:, 1:] @ other[:, 1:].T / max(one.shape[1] - 1, 1)
    return related


def noise_variance(prior: Prior, cells: Cells) -> FloatArray:
    """Return the variance [...] of one run of each kernel: its own repeats, shrunk to the pool's by four of them."""
    repeats = np.maximum(cells.count - 1, 0).sum(axis=-1)
    noise: FloatArray = (4 * prior.noise_sd**2 + cells.scatter.sum(axis=-1)) / (4 + repeats)
    return noise


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """The exact posterior of a kernel (or of a batch of kernels, leading axes) given its cells."""

    prior: Prior
    cells: Cells

    @cached_property
    def noise(self) -> FloatArray:
        """Return the variance [...] of one run around its cell."""
        return noise_variance(self.prior, self.cells)

    @cached_property
    def inverse(self) -> FloatArray:
        """Return the inverse covariance [..., M, M] of the cell means; cells with no runs carry no weight."""
        cells = self.cells
        own = np.where(cells.count > 0, self.noise[..., None] / np.maximum(cells.count, 1), PADDING_VARIANCE)
        cov = self.prior.between(cells.at, cells.at)
        cov = cov + own[..., None] * np.eye(cov.shape[-1])
        return np.asarray(np.linalg.inv(cov), dtype=np.float64)

    @cached_property
    def weights(self) -> FloatArray:
        """Return inverse @ (mean - prior mean) [..., M]."""
        residual = np.where(self.cells.count > 0, self.cells.mean - self.prior.mean(self.cells.at), 0.0)
        weights: FloatArray = (self.inverse @ residual[..., None])[..., 0]
        return weights

    def at(self, points: Points) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd [..., N] of ln T of one further run at each point."""
        cross = self.prior.between(points, self.cells.at)
        mean = self.prior.mean(points) + (cross @ self.weights[..., None])[..., 0]
        explained = ((cross @ self.inverse) * cross).sum(axis=-1)
        variance = np.maximum(self.prior.variance(points) - explained, 1e-6) * self.prior.widen**2
        return mean, np.sqrt(variance + self.noise[..., None])

    def over(self, resources: IntArray, prior: Prior | None = None) -> "Rows":
        """Return the posterior as it is asked live: one size and computation after the other on resources [R].

        With a `prior` the resources are numbered by it; those with cells come first, as they do here.
        """
        return Rows(self, resources, prior or self.prior)

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """Return error and variance [..., M] of each cell's mean, predicted from the kernel's other cells."""
        precision = np.diagonal(self.inverse, axis1=-2, axis2=-1)
        return self.weights / precision, 1.0 / precision


class Rows:
    """Answers for one kernel (no leading axes) on the same resources [R]: what only they decide is computed once.

    Prior covariance with the cells splits into g + 1 v' + own: g [R, M] of the resources, v [M] of size, bucket and
    computation, and a term where a cell ran on the very resource. `at` gives what `Posterior.at` gives.
    """

    def __init__(self, posterior: Posterior, resources: IntArray, prior: Prior) -> None:
        cells = posterior.cells
        self._posterior, self._prior = posterior, prior
        self._g = prior.covariance[np.ix_(resources, cells.at.resource)] + prior.offset_sd**2  # [R, M]
        self._weighed = _alone(self._g, posterior.inverse)  # [R, M]
        self._explained = (self._weighed * self._g).sum(axis=-1)  # [R]
        self._moved = self._g @ posterior.weights  # [R]
        ran = resources[:, None] == cells.at.resource[None, :]  # [R, M]
        self._own_r, self._own_m = ran.nonzero()  # pairs
        self._rows = ran.any(axis=1).nonzero()[0]
        nowhere = replace(cells.at, size=np.zeros((len(resources), 0)), resource=resources)
        self._mean, self._before = prior.mean(nowhere), prior.variance(nowhere)  # [R] at the middle of all sizes

    def at(self, points: Points) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean, sd and prior sd [R] of ln T at points of one size, bucket and computation."""
        posterior, prior, cells = self._posterior, self._prior, self._posterior.cells.at
        dot = cells.size @ points.size[0]  # [M]
        bucket, item = cells.bucket == points.bucket[0], cells.item == points.item[0]
        shared = prior.slope_sd**2 * dot + prior.bucket_sd**2 * bucket + prior.item_sd**2 * item
        own = (prior.resource_slope_sd**2 * dot + prior.cell_sd**2 * (bucket & item))[self._own_m]
        explained = self._explained + 2 * (self._weighed @ shared) + shared @ posterior.inverse @ shared
        moved = self._moved + shared @ posterior.weights
        if len(self._rows):
            moved += np.bincount(self._own_r, own * posterior.weights[self._own_m], len(moved))
            cross = self._g[self._rows] + shared
            cross[np.searchsorted(self._rows, self._own_r), self._own_m] += own
            explained[self._rows] = (_alone(cross, posterior.inverse) * cross).sum(axis=-1)
        size = points.size[0]
        before = self._before + (prior.slope_sd**2 + prior.resource_slope_sd**2) * (size @ size)
        variance = np.maximum(before - explained, 1e-6) * prior.widen**2
        mean = self._mean + (moved + prior.slope * size.sum())
        return mean, np.sqrt(variance + posterior.noise), np.sqrt(before + posterior.noise)


def _alone(rows: FloatArray, square: FloatArray) -> FloatArray:
    """Return rows @ square, in slabs too small for the threads of a BLAS: these would cost more than they save."""
    step = max(1, _SLAB // square.size)
    return np.concatenate([rows[at : at + step] @ square for at in range(0, max(1, len(rows)), step)])


def stacked(kernels: Sequence[Cells]) -> Cells:
    """Return kernels as one batch [K, M], padded with empty cells."""
    rows = max(len(k.count) for k in kernels)
    features = max(k.at.size.shape[1] for k in kernels)
    size = np.zeros((len(kernels), rows, features))
    for index, kernel in enumerate(kernels):
        size[index, : kernel.at.size.shape[0], : kernel.at.size.shape[1]] = kernel.at.size

    def row(values: npt.NDArray[_N]) -> npt.NDArray[_N]:
        return np.pad(values, (0, rows - len(values)))

    at = Points(
        size=size,
        bucket=np.stack([row(k.at.bucket) for k in kernels]),
        item=np.stack([row(k.at.item) for k in kernels]),
        resource=np.stack([row(k.at.resource) for k in kernels]),
    )
    return Cells(
        at=at,
        count=np.stack([row(k.count) for k in kernels]),
        mean=np.stack([row(k.mean) for k in kernels]),
        scatter=np.stack([row(k.scatter) for k in kernels]),
    )


def learn(kernels: Sequence[Cells], *, start: Prior) -> Prior:
    """Return the prior that explains these kernels, from the one to `start` with: resource effects by
    expectation-maximisation, spreads by the probability of each cell given the kernel's other cells."""
    cells = stacked(kernels)
    prior = _start(cells, start)
    for step in range(STEPS):
        prior = _relate(prior, cells, start)
        if step == SPREADS_AT:
            prior = _spread(prior, cells)
    return _widened(prior, cells)


def _start(cells: Cells, start: Prior) -> Prior:
    used = cells.count > 0
    offsets = np.array([m[u].mean() for m, u in zip(cells.mean, used, strict=True)])
    repeats = float(np.maximum(cells.count - 1, 0).sum())
    noise = np.sqrt((20 * start.noise_sd**2 + float(cells.scatter.sum())) / (20 + repeats))
    wide = start.offset_sd if start.slope == 0 else max(1.5, 1.5 * float(offsets.std()))
    return replace(start, offset=float(offsets.mean()), offset_sd=wide, noise_sd=float(noise))


def _relate(prior: Prior, cells: Cells, start: Prior) -> Prior:
    """One EM step for shift and covariance of the kernels' rows over resources."""
    posterior = Posterior(prior=prior, cells=cells)
    cross = np.where(cells.count[:, None, :] > 0, prior.covariance[:, cells.at.resource].transpose(1, 0, 2), 0.0)
    deviation = (cross @ posterior.weights[..., None])[..., 0]  # [K, R]: kernel's row minus shift
    count = len(deviation)
    shift = (count * (prior.shift + deviation.mean(axis=0)) + SHIFT_KERNELS * start.shift) / (count + SHIFT_KERNELS)
    around = prior.shift + deviation - shift
    scatter = around.T @ around + count * prior.covariance
    for each, inverse in zip(cross, posterior.inverse, strict=True):  # in turn: [R, R] once, not for every kernel
        scatter -= each @ inverse @ each.T
    covariance = (scatter + PRIOR_KERNELS * start.covariance) / (count + PRIOR_KERNELS)
    return replace(prior, shift=shift, covariance=covariance)


def _fitness(prior: Prior, cells: Cells) -> float:
    error, variance = Posterior(prior=prior, cells=cells).left_out()
    score = -0.5 * (error**2 / variance + np.log(variance))
    return float(score[cells.count > 0].mean())


def _spread(prior: Prior, cells: Cells) -> Prior:
    """Choose each spread in turn from a short grid by the fitness of left-out cells."""
    grids = {
        "cell_sd": (0.02, 0.05, 0.10, 0.20, 0.40),
        "bucket_sd": (0.05, 0.15, 0.40, 1.0),
        "item_sd": (0.02, 0.10, 0.40),
        "resource_slope_sd": (0.01, 0.05, 0.15),
    }
    for name, grid in grids.items():
        priors = [_with(prior, name, value) for value in grid]
        prior = max(priors, key=lambda p: _fitness(p, cells))
    return prior


def _with(prior: Prior, name: str, value: float) -> Prior:
    values = {each.name: getattr(prior, each.name) for each in fields(prior)}
    return Prior(**{**values, name: value})


def _widened(prior: Prior, cells: Cells) -> Prior:
    """Scale the intervals so that 80 % of left-out cells fall inside; twenty imaginary good ones steady it."""
    error, variance = Posterior(prior=prior, cells=cells).left_out()
    scaled = np.abs(error / np.sqrt(variance))[cells.count > 0]
    seen = _quantile(scaled, 0.8) / 1.2816
    widen = (len(scaled) * seen + 20) / (len(scaled) + 20)
    return replace(prior, widen=float(np.clip(widen, 0.5, 3.0)))


def _quantile(values: FloatArray, level: float) -> float:
    """Return a quantile, linear between values; numpy's own imports all of numpy.ma, in the middle of the work."""
    return float(np.interp(level * (len(values) - 1), np.arange(len(values)), np.sort(values)))
