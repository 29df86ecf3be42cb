"""Whole rows regressed on signatures: an entity's description, what its probes took and what telemetry saw of them.

Every known entity has a signature on the very items that were probed, so what one run tells of all others is learned
from these. Rows are regressed around the level of their probes; how kernels are weighed is learned by leaving out
groups of alike entities after drawn probes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dnaml.predict.paired.grid import Answer, BoolArray, FloatArray, Grid, IntArray, Task
from dnaml.predict.paired.prior import groups_of
from dnaml.predict.paired.regress import squared_distance
from dnaml.predict.paired.sources import Sources

FEWEST_SOURCES = 6
PROBED, DRAWS = (1, 3, 10), 4  # numbers of probes for which kernels are weighed, and draws of probes for each
MANY_ITEMS = 1000  # one draw of probes is judged by enough of them
MOST_PROBES = 20  # of more, others know better
COUNTED = 6  # kernels that answer
MOST_LEFT_OUT, MOST_KIN = 120, 150  # entities by which kernels are weighed, and those that answer: the nearest
SHARPNESS = 30.0  # a kernel's weight falls with this power of its error
LINEAR = 0.3  # beside one of a smooth kernel, in a sum
SMOOTH_PRODUCT, LINEAR_PRODUCT = 3.0, 0.1
CLIP = 5.0  # sds of a quantity of telemetry
LEAST_SPREAD, LEAST_ERROR, SAME = 1e-6, 1e-4, 1e-9
LEAST_FREE = 1e-4  # share of a row that the others do not foretell, added


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A kernel over signatures: how much descriptions, telemetry and times of probes count, and the noise beside it.

    A product holds those alike in all of them for alike, a sum those alike in any.
    """

    described: float
    seen: float
    timed: float
    product: bool
    noise: float

    def __call__(self, linear: FloatArray, distance: FloatArray, smooth: FloatArray) -> FloatArray:
        """Return the kernel [N, N] of four parts [4, N, N]: inner products, squared distances, smooth kernels."""
        amounts = np.array([self.described, self.seen, self.timed, self.timed])
        inner = np.tensordot(amounts, linear, axes=1)
        if self.product:
            return SMOOTH_PRODUCT * np.exp(-0.5 * np.tensordot(amounts, distance, axes=1)) + LINEAR_PRODUCT * inner
        return np.asarray(LINEAR * inner + np.tensordot(amounts, smooth, axes=1), dtype=np.float64)


KERNELS: tuple[Signed, ...] = tuple(
    Signed(described=described, seen=seen, timed=0.3, product=product, noise=noise)
    for described in (0.1, 1.0)
    for seen in (0.0, 1.0)
    for product in (False, True)
    for noise in (0.1, 1.0)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signatures:
    """The expert for S known entities. Shapes: telemetry [S, I, T]; weights [B, G] of kernels by number of probes, and
    sd [B, I] of rows that were left out.
    """

    telemetry: FloatArray
    kernels: tuple[Signed, ...]
    weights: FloatArray
    sd: FloatArray

    @classmethod
    def fit(cls, grid: Grid, use: BoolArray, sources: Sources, *, seed: int = 0) -> "Signatures | None":
        """Return the expert of the entities marked in `use` [E], whose rows `sources` holds; None for too few."""
        items = sources.rows.shape[1]
        if len(sources) < FEWEST_SOURCES or items < 2:
            return None
        none = np.zeros((0, 0))
        known = cls(telemetry=grid.telemetry[use], kernels=KERNELS, weights=none, sd=none)
        rng = np.random.default_rng(seed)
        among = np.sort(rng.permutation(len(sources))[:MOST_LEFT_OUT])
        groups, draws = groups_of(sources.x[among]), DRAWS if items <= MANY_ITEMS else 1
        weights, sds = [], []
        for count in PROBED:
            drawn = [rng.permutation(items)[: min(count, items - 1)] for _ in range(draws)]
            squares = np.mean([known.left_out(sources, among, groups, probed) for probed in drawn], axis=0)
            error = np.sqrt(squares.mean(axis=2)).mean(axis=1) + LEAST_ERROR
            weight = (error / error.min()) ** -SHARPNESS
            weight[np.argsort(-weight, kind="stable")[COUNTED:]] = 0.0
            weights.append(weight / weight.sum())
            sds.append(np.sqrt(weights[-1] @ squares.mean(axis=1)) + LEAST_ERROR)
        return replace(known, weights=np.array(weights), sd=np.array(sds))

    def answer(self, task: Task, sources: Sources) -> Answer | None:
        """Return mean and sd [Q] of ln seconds; None without a probe of a known item, or with many.

        An entity whose times are the probes' own is the one asked about, and not asked.
        """
        probed = np.flatnonzero(task.item[: task.probes] >= 0)
        if not 0 < len(probed) <= MOST_PROBES:
            return None
        items, asked, y = task.item[probed], task.item[task.probes :], task.y[probed]
        kin = np.flatnonzero((np.abs(sources.rows[:, items] - y) > SAME).any(axis=1))
        if len(kin) < FEWEST_SOURCES - 1:
            return None
        times = sources.rows[np.ix_(kin, items)]
        around = _signed(
            np.concatenate([sources.x[kin], task.entity_x[None]]),
            np.concatenate([self.telemetry[np.ix_(kin, items)].mean(axis=1), task.telemetry[None]]),
            np.concatenate([times, y[None]]) - sources.item_effect[items],
            len(kin),
        )
        if len(kin) > MOST_KIN:
            far = np.sum([((part[:-1] - part[-1]) ** 2).sum(axis=1) for part in around], axis=0)
            near = np.sort(np.argsort(far, kind="stable")[:MOST_KIN])
            kin, times, around = kin[near], times[near], [part[np.r_[near, -1]] for part in around]
        parts = _alike(around)
        bucket = int(np.abs(np.log(np.array(PROBED) / len(probed))).argmin())
        rows = sources.rows[:, asked] if (asked >= 0).all() else sources.at(task)[0][:, task.probes :]
        left = rows[kin] - times.mean(axis=1, keepdims=True)
        mean, pull = left.mean(axis=0), np.zeros(len(kin))
        for weight, kernel in zip(self.weights[bucket], self.kernels, strict=True):
            if weight > 0:
                values = _centred(kernel(*parts), len(kin))
                noisy = values[:-1, :-1] + kernel.noise * np.eye(len(kin))
                pull += weight * np.linalg.solve(noisy, values[:-1, -1])
        sd = np.where(asked >= 0, self.sd[bucket][np.maximum(asked, 0)], self.sd[bucket].mean())
        return Answer(mean=y.mean() + mean + pull @ (left - mean), sd=sd)

    def left_out(self, sources: Sources, among: IntArray, groups: Sequence[IntArray], items: IntArray) -> FloatArray:
        """Return the squared errors [G, M, I] of each kernel when groups of M entities are left out after probes."""
        rows, members = sources.rows[among], len(among)
        times = rows[:, items]
        around = rows - times.mean(axis=1, keepdims=True)
        around = around - around.mean(axis=0)
        telemetry = self.telemetry[np.ix_(among, items)].mean(axis=1)
        parts = _alike(_signed(sources.x[among], telemetry, times - sources.item_effect[items], members))
        found = np.empty((len(self.kernels), *around.shape))
        for place, kernel in enumerate(self.kernels):
            values = _centred(kernel(*parts), members)
            apart = kernel.noise * np.linalg.inv(values + kernel.noise * np.eye(members)) - 1.0 / members
            left = apart @ around
            for group in groups:
                free = apart[np.ix_(group, group)] + LEAST_FREE * np.eye(len(group))
                found[place, group] = np.linalg.solve(free, left[group]) ** 2
        return found


def _signed(x: FloatArray, telemetry: FloatArray, times: FloatArray, known: int) -> list[FloatArray]:
    """Return signatures of N entities around the mean of the known ones, which come first: description [N, F],
    telemetry [N, T], and level [N, 1] and shape [N, K] of times, each of about unit size.
    """
    level = times.mean(axis=1, keepdims=True)
    seen = np.clip(_scaled(telemetry, known, 0), -CLIP, CLIP)
    parts = (x, seen, _scaled(level, known, None), _scaled(times - level, known, None))
    return [(part - part[:known].mean(axis=0)) / max(part.shape[1], 1) ** 0.5 for part in parts]


def _alike(around: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return inner products, squared distances and smooth kernels [4, N, N] of the four parts of signatures."""
    distance = np.stack([squared_distance(part, part) for part in around])
    return np.stack([part @ part.T for part in around]), distance, np.exp(-0.5 * distance)


def _scaled(values: FloatArray, known: int, axis: int | None) -> FloatArray:
    """Return values [N, F] over what they are spread by among the known, column by column (axis 0) or together."""
    around = values - values[:known].mean(axis=0)
    spread = around[:known].std(axis=axis)
    return np.asarray(np.where(spread > LEAST_SPREAD, around / np.maximum(spread, LEAST_SPREAD), 0.0), dtype=np.float64)


def _centred(kernel: FloatArray, known: int) -> FloatArray:
    """Return a kernel [N, N] around the mean of the known ones."""
    to_mean = kernel[:, :known].mean(axis=1)
    return np.asarray(kernel - to_mean - to_mean[:, None] + to_mean[:known].mean(), dtype=np.float64)
