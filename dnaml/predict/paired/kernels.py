"""Gaussian-process regression on a few probes under many settings at once, averaged by their evidence.

Each setting is a sum of a few kernels; its matrix is decomposed once, then every offset, noise and scale is swept in
closed form. A probe that the others contradict loses weight. What a kernel means is said by its user.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import FloatArray, IntArray, Task

MOST_PROBES = 250  # of a regression: of more the newest, and the others evenly thinned
SUSPECT = 2.5  # sds by which the other probes contradict one before its variance is inflated
SUSPECT_ROUNDS = 2
COUNTED_SHARE, MOST_COUNTED = 0.02, 4  # settings whose spread is worked out: of the best one's weight, and how many
LEAST_VARIANCE = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """What is averaged over: G sums of kernels, each with every variance of a common offset [C] and of noise [N].

    Shapes: mean [G] which mean a sum has, coefficients [G, B], log_prior [G, N, C]. `freedom` is how many imaginary
    probes say that the variances are as stated, when the overall scale is averaged out.
    """

    mean: IntArray
    coefficients: FloatArray
    offsets: FloatArray
    noises: FloatArray
    log_prior: FloatArray
    freedom: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernels:
    """B kernels and M means at P probes and Q asked items. Shapes: blocks [B, P, P+Q], diagonal [B, Q], means [M, P+Q];
    extra [P+Q] is variance that an item brings of its own.
    """

    blocks: FloatArray
    diagonal: FloatArray
    means: FloatArray
    extra: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """What is known of Q items. Shapes: mean, variance [Q] without noise, noise [Q] variance, left_out [P] errors.

    `covariance` [Q, Q] is without noise, empty unless asked for; `evidence` is the log evidence per probe.
    """

    mean: FloatArray
    variance: FloatArray
    noise: FloatArray
    left_out: FloatArray
    covariance: FloatArray
    evidence: float

    @property
    def own_error(self) -> float:
        """Return the mean absolute error of probes left out, NaN for fewer than two."""
        return float(np.abs(self.left_out).mean()) if len(self.left_out) > 1 else float("nan")


def merged(task: Task) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the probes that a regression uses: places [P], ln seconds [P], and runs [P] behind each.

    Probes of one known item become one; of more than MOST_PROBES the newest half stays and the others are thinned.
    """
    k = task.probes
    runs: FloatArray = task.runs if len(task.runs) == k else np.ones(k)
    places: IntArray = np.arange(k)
    y: FloatArray = task.y
    item = np.where(task.item[:k] >= 0, task.item[:k], -1 - places)
    _, first, inverse = np.unique(item, return_index=True, return_inverse=True)
    if len(first) < k:
        order = np.argsort(first)
        total = np.zeros(len(first))
        np.add.at(total, inverse, runs)
        mean = np.zeros(len(first))
        np.add.at(mean, inverse, runs * y)
        places, y, runs = first[order], (mean / total)[order], total[order]
    if len(places) > MOST_PROBES:
        newest = len(places) - MOST_PROBES // 2
        kept = np.r_[np.linspace(0, newest - 1, MOST_PROBES - MOST_PROBES // 2).astype(np.int64), newest : len(places)]
        places, y, runs = places[kept], y[kept], runs[kept]
    return places, y, runs


def regress(
    kernels: Kernels, y: FloatArray, noise: FloatArray, settings: Settings, square: FloatArray | None = None
) -> Posterior:
    """Return what probes y [P] say of Q items; `noise` [P] is the relative noise variance of each probe.

    `square` [B, Q, Q], the kernels among the items asked about, is given where their covariance is wanted.
    """
    root = np.sqrt(noise)
    for last in range(SUSPECT_ROUNDS, -1, -1):
        fit = _Fit(kernels, y, root, settings)
        suspicion = fit.suspicion() if last and len(y) else np.zeros(1)
        if suspicion.max() <= SUSPECT:
            break
        root = np.where(suspicion > SUSPECT, root * np.maximum(2.0 * suspicion / SUSPECT, 1.0), root)
    return fit.posterior(square)


class _Fit:
    """Settings fitted to probes. Shapes: weight, scale [G, N, C]; values, whitened, ones [G, P] and vectors [G, P, P]
    are matrix, residuals and constant in the basis of eigenvectors; root [P] divides a probe.
    """

    def __init__(self, kernels: Kernels, y: FloatArray, root: FloatArray, settings: Settings) -> None:
        p, s = len(y), settings
        self.kernels, self.settings, self.root = kernels, settings, root
        matrix = np.tensordot(s.coefficients, kernels.blocks[:, :, :p], axes=1) + np.diag(kernels.extra[:p])
        self.values, self.vectors = np.linalg.eigh(matrix / (root[:, None] * root))
        self.values = np.maximum(self.values, 0.0)
        left = ((y - kernels.means[:, :p]) / root)[s.mean]
        self.whitened = np.einsum("gpi,gp->gi", self.vectors, left)
        self.ones = np.einsum("gpi,p->gi", self.vectors, 1.0 / root)
        self.inverse = 1.0 / (self.values[:, None] + s.noises[:, None])  # [G, N, P]
        squares = (self.whitened[:, None] ** 2 * self.inverse).sum(axis=-1)[..., None]
        self.pull = ((self.whitened * self.ones)[:, None] * self.inverse).sum(axis=-1)[..., None]
        self.stiffness = 1.0 + s.offsets * (self.ones[:, None] ** 2 * self.inverse).sum(axis=-1)[..., None]
        self.quadratic = squares - s.offsets * self.pull**2 / self.stiffness  # [G, N, C]
        log_det = np.log(self.stiffness) - np.log(self.inverse).sum(axis=-1)[..., None]
        self.evidence = -0.5 * (log_det + (s.freedom + p) * np.log1p(self.quadratic / s.freedom))
        logits = self.evidence + s.log_prior
        weight = np.exp(logits - logits.max())
        self.weight = weight / weight.sum()
        self.scale = (s.freedom + self.quadratic) / (s.freedom + p)

    def counted(self) -> list[tuple[int, int, int]]:
        """Return the settings that count, the best first."""
        order = np.argsort(-self.weight, axis=None, kind="stable")[:MOST_COUNTED]
        kept = order[self.weight.flat[order] > COUNTED_SHARE * self.weight.flat[order[0]]]
        return [(int(g), int(n), int(c)) for g, n, c in zip(*np.unravel_index(kept, self.weight.shape), strict=True)]

    def shares(self) -> list[tuple[float, tuple[int, int, int]]]:
        """Return the settings that count and their shares of the weight."""
        found = self.counted()
        total = sum(self.weight[place] for place in found)
        return [(float(self.weight[place] / total), place) for place in found]

    def suspicion(self) -> FloatArray:
        """Return by how many sds the other probes contradict each [P]."""
        found = np.zeros(len(self.root))
        for share, (g, n, c) in self.shares():
            alpha, precision = self._left_out(g, n, c)
            squared = alpha**2 / precision
            count = self.settings.freedom + len(found)
            scale = np.maximum(count * self.scale[g, n, c] - squared, LEAST_VARIANCE) / (count - 1)
            found += share * np.sqrt(squared / scale)
        return found

    def left_out(self) -> FloatArray:
        """Return the error [P] on each probe when it is left out."""
        found = np.zeros(len(self.root))
        for share, (g, n, c) in self.shares():
            alpha, precision = self._left_out(g, n, c)
            found += share * alpha / precision * self.root
        return found

    def _left_out(self, g: int, n: int, c: int) -> tuple[FloatArray, FloatArray]:
        """Return weights and diagonal of the inverse [P], both of probes divided by their roots."""
        pulled = self.vectors[g] @ (self.inverse[g, n] * self.ones[g])
        share = self.settings.offsets[c] / self.stiffness[g, n, c]
        alpha = self.vectors[g] @ (self.inverse[g, n] * self.whitened[g]) - share * self.pull[g, n, 0] * pulled
        precision = (self.vectors[g] ** 2) @ self.inverse[g, n] - share * pulled**2
        return alpha, np.maximum(precision, LEAST_VARIANCE)

    def posterior(self, square: FloatArray | None) -> Posterior:
        """Return mean, variance and noise of the items asked about."""
        p, kernels, s = len(self.root), self.kernels, self.settings
        share = s.offsets / self.stiffness
        pulled = (self.weight * share * self.pull).sum(axis=2)[..., None] * self.ones[:, None]
        total = self.weight.sum(axis=2)[..., None] * self.whitened[:, None]
        mixed = ((total - pulled) * self.inverse).sum(axis=1)  # [G, P]
        alpha = np.einsum("gpi,gi->gp", self.vectors, mixed) / self.root
        by_mean = np.bincount(s.mean, weights=self.weight.sum(axis=(1, 2)), minlength=len(kernels.means))
        mean = by_mean @ kernels.means[:, p:] + float((self.weight * share * self.pull).sum())
        for block, by_probe in zip(kernels.blocks, s.coefficients.T @ alpha, strict=True):
            mean = mean + by_probe @ block[:, p:]
        variance, noise = np.zeros(len(mean)), kernels.extra[p:].copy()
        covariance = np.zeros((0, 0)) if square is None else np.zeros((len(mean), len(mean)))
        for weight, place in self.shares():
            around, said, joint = self._spread(*place, square)
            variance += weight * (around + (said - mean) ** 2)
            noise += weight * self.scale[place] * s.noises[place[1]]
            if square is not None:
                covariance += weight * (joint + np.outer(said - mean, said - mean))
        best = np.unravel_index(int(np.argmax(self.weight)), self.weight.shape)
        return Posterior(
            mean=mean,
            variance=variance,
            noise=noise,
            left_out=self.left_out(),
            covariance=covariance,
            evidence=float(self.evidence[best]) / max(p, 1),
        )

    def _spread(self, g: int, n: int, c: int, square: FloatArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return variance [Q], mean [Q] and (where `square` is given) covariance [Q, Q] of one setting."""
        p, kernels, s = len(self.root), self.kernels, self.settings
        offset, stiffness = s.offsets[c], self.stiffness[g, n, c]
        cross = np.tensordot(s.coefficients[g], kernels.blocks[:, :, p:], axes=1) + offset
        turned = self.vectors[g].T @ (cross / self.root[:, None])  # [P, Q]
        inverse = self.inverse[g, n][:, None]
        along = (inverse[:, 0] * self.ones[g]) @ turned
        taken = (inverse * turned**2).sum(axis=0) - offset / stiffness * along**2
        full = s.coefficients[g] @ kernels.diagonal + offset
        around = self.scale[g, n, c] * np.maximum(full - taken, LEAST_VARIANCE)
        said = kernels.means[s.mean[g], p:] + (inverse[:, 0] * self.whitened[g]) @ turned
        said = said - offset / stiffness * self.pull[g, n, 0] * along
        if square is None:
            return around, said, np.zeros((0, 0))
        taken_jointly = turned.T @ (inverse * turned) - offset / stiffness * np.outer(along, along)
        joint = np.tensordot(s.coefficients[g], square, axes=1) + offset - taken_jointly
        return around, said, self.scale[g, n, c] * joint
