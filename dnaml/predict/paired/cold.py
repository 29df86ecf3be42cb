"""New entities on which nothing ran, many at once: what each expert needs of them is worked out before any question.

A question is one known item; the answer for any of the entities equals that of `Direction.quantiles` for a task
without probes, but a few hundred of them take about as long as one.
"""

from dataclasses import dataclass

import numpy as np

from dnaml.core.prediction import LEVELS
from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.gate import bucket_of
from dnaml.predict.paired.grid import FloatArray, IntArray
from dnaml.predict.paired.intervals import LEAST_NOVELTY, LEAST_SD
from dnaml.predict.paired.kernels import COUNTED_SHARE, LEAST_VARIANCE, MOST_COUNTED, Settings
from dnaml.predict.paired.latent import Latents
from dnaml.predict.paired.net import MOST_ENTITY_NOISE, Net, OneNet
from dnaml.predict.paired.rows import PreparedRows
from dnaml.predict.paired.similarity import CLIP, PreparedSimilarity
from dnaml.predict.paired.sources import Sources

MeanAndSd = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColdNet:
    """One net's view of N entities. Shapes: latent [N, R], wide [N, V], louder [N]."""

    net: OneNet
    latent: FloatArray
    wide: FloatArray
    louder: FloatArray

    @classmethod
    def of(cls, net: OneNet, entity_x: FloatArray) -> "ColdNet":
        """Return what the net says of entities described by [N, Fe]; their telemetry is unknown."""
        blank = np.zeros((len(entity_x), net.entity.w1.shape[0] - entity_x.shape[1]))
        out, rank = net.entity(np.concatenate([entity_x, blank], axis=1)), len(net.precision)
        louder = np.exp(MOST_ENTITY_NOISE * np.tanh(out[:, rank]))
        return cls(net=net, latent=out[:, :rank], wide=out[:, rank + 1 :], louder=louder)

    def at(self, item: int, effect: float, places: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance [K] of ln seconds of an item on some of the entities."""
        net, seen = self.net, self.net.encoded
        loadings = seen.loadings[item]
        base = seen.bias[item] + self.wide[places] @ seen.wide[item] + self.latent[places] @ loadings
        spread = float((loadings**2 / net.precision).sum()) + seen.noise[item] * self.louder[places]
        return effect + net.offset + net.scale * base, net.scale**2 * spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColdRows:
    """The rows expert's view of N entities. Shapes: level [N]; pull [N, R] mixed over settings; apart [N, J, R] how
    far each of the counted settings pulls elsewhere; per level and counted setting: shares, offsets, noises [V, J],
    coefficients [V, J, B].
    """

    rows: PreparedRows
    level: IntArray
    pull: FloatArray
    apart: FloatArray
    shares: FloatArray
    offsets: FloatArray
    noises: FloatArray
    coefficients: FloatArray

    @classmethod
    def of(cls, rows: PreparedRows, entity_x: FloatArray) -> "ColdRows":
        """Return what the expert says of entities described by [N, Fe]."""
        level = np.array([rows.regression.level(x) for x in entity_x], dtype=np.int64)
        levels = len(rows.regression.radii)
        mixed = np.zeros((levels, len(rows.regression.shares)))
        shares, offsets, noises = (np.zeros((levels, MOST_COUNTED)) for _ in range(3))
        ridge = np.zeros((levels, MOST_COUNTED), dtype=np.int64)
        coefficients = np.zeros((levels, MOST_COUNTED, rows.settings.coefficients.shape[1]))
        for v in range(levels):
            settings = rows._trusting(v)
            weight = _weights(settings)
            mixed[v] = np.bincount(settings.mean, weights=weight.sum(axis=(1, 2)), minlength=mixed.shape[1])
            found, share = _counted(weight)
            counted = slice(len(found))
            g, n, c = found.T
            shares[v, counted], ridge[v, counted], coefficients[v, counted] = (
                share,
                settings.mean[g],
                settings.coefficients[g],
            )
            offsets[v, counted], noises[v, counted] = settings.offsets[c], settings.noises[n]
        pull = np.empty((len(entity_x), rows.basis.shape[1]))
        apart = np.empty((len(entity_x), MOST_COUNTED, rows.basis.shape[1]))
        for place, x in enumerate(entity_x):
            each = rows.regression.pull(x)
            pull[place] = mixed[level[place]] @ each
            apart[place] = each[ridge[level[place]]] - pull[place]
        return cls(
            rows=rows,
            level=level,
            pull=pull,
            apart=apart,
            shares=shares,
            offsets=offsets,
            noises=noises,
            coefficients=coefficients,
        )

    def at(self, item: int, item_x: FloatArray, places: IntArray) -> MeanAndSd:
        """Return mean and sd [K] of ln seconds of an item on some of the entities."""
        rows, level, scores = self.rows, self.level[places], self.rows.scores[item]
        own = (self.shares * self.noises).sum(axis=1) + rows.tail[item]  # [V]
        for v in np.flatnonzero(np.bincount(level)).tolist():
            diagonal = rows._diagonal(rows.regression.left[v], scores[None], item_x[None])[:, 0]
            around = self.coefficients[v] @ diagonal + self.offsets[v]
            own[v] += self.shares[v] @ np.maximum(around, LEAST_VARIANCE)
        said = self.apart[places] @ scores  # [K, J] beside the mean
        total = own[level] + (self.shares[level] * said**2).sum(axis=1)
        return rows.mean[item] + self.pull[places] @ scores, np.sqrt(total)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cold:
    """N entities prepared for one direction. Shapes: offset [N] of the similarity expert, novelty [N], priors [S, N, K]
    of the latent models by name, and their squares with 1 for the first.
    """

    direction: Direction
    nets: tuple[ColdNet, ...]
    rows: ColdRows | None
    offset: FloatArray
    novelty: FloatArray
    priors: dict[str, tuple[FloatArray, FloatArray]]

    @classmethod
    def of(cls, direction: Direction, entity_x: FloatArray) -> "Cold":
        """Return entities described by [N, Fe], standardised as the direction's own, prepared for questions."""
        members, sources = direction.fitted.members, direction.fitted.sources
        net, rows, alike = members.get("net"), members.get("rows"), members.get("similarity")
        priors = {
            name: _with_squares(np.stack([part.entity_prior(entity_x) for part in member.parts]))
            for name, member in members.items()
            if isinstance(member, Latents)
        }
        pulled = alike.offset + entity_x @ alike.offset_pull if isinstance(alike, PreparedSimilarity) else np.zeros(0)
        return cls(
            direction=direction,
            nets=tuple(ColdNet.of(one, entity_x) for one in net.nets) if isinstance(net, Net) else (),
            rows=ColdRows.of(rows, entity_x) if isinstance(rows, PreparedRows) else None,
            offset=pulled,
            novelty=np.array([sources.novelty(x) for x in entity_x]),
            priors=priors,
        )

    def quantiles(self, item: int, item_x: FloatArray, places: IntArray) -> FloatArray:
        """Return quantiles [K, L] of ln seconds of a known item, described by [Fi], on some of the entities."""
        names = self.direction.gate.names
        means, sds = np.full((len(places), len(names)), np.nan), np.full((len(places), len(names)), np.nan)
        for column, name in enumerate(names):
            said = self._said(name, item, item_x, places)
            if said is not None and np.isfinite(said[0]).all():
                means[:, column], sds[:, column] = said
        weights = self.direction.gate.weights_of(means, np.full(len(names), np.nan), 0, False)
        means, sds = np.where(weights > 0, means, 0.0), np.where(weights > 0, sds, 0.0)
        mean = means @ weights
        spread = np.sqrt((means - mean[:, None]) ** 2 @ weights)
        return self._interval(mean, np.sqrt(sds**2 @ weights), spread, self.novelty[places])

    def _said(self, name: str, item: int, item_x: FloatArray, places: IntArray) -> MeanAndSd | None:
        """Return what one expert says; None for one that says nothing without a probe."""
        member, sources = self.direction.fitted.members[name], self.direction.fitted.sources
        if isinstance(member, Latents):
            prior, squares = self.priors[name]
            return _latent(member, prior[:, places], squares[:, places], item)
        if isinstance(member, PreparedSimilarity):
            return _similar(member, self.offset[places], item, item_x)
        if isinstance(member, PreparedRows) and self.rows is not None:
            return self.rows.at(item, item_x, places)
        if isinstance(member, Net):
            return self._by_net(sources, item, places)
        return None

    def _by_net(self, sources: Sources, item: int, places: IntArray) -> MeanAndSd:
        parts = [cold.at(item, float(sources.item_effect[item]), places) for cold in self.nets]
        means, variances = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
        return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))

    def _interval(self, mean: FloatArray, sd: FloatArray, spread: FloatArray, novelty: FloatArray) -> FloatArray:
        """Return quantiles [K, L] as `Intervals` gives them to blends without a probe."""
        intervals = self.direction.intervals
        far = np.log(np.clip(novelty, intervals.nearest, intervals.farthest) + LEAST_NOVELTY)
        zero = np.zeros(len(mean))
        basis = np.stack([zero + 1.0, np.log(sd + LEAST_SD), np.log(spread + LEAST_SD), zero, zero, far], axis=1)
        scale = np.exp(basis[:, : len(intervals.weights)] @ intervals.weights)
        limits = intervals.calibration.quantiles(np.zeros(1), np.ones(1), [(0, bucket_of(0))])[0]
        found: FloatArray = mean[:, None] + scale[:, None] * limits
        assert found.shape[1] == len(LEVELS), "a limit stands for each level"
        return found


def _with_squares(prior: FloatArray) -> tuple[FloatArray, FloatArray]:
    squares = prior**2
    squares[..., 0] = 1.0
    return prior, squares


def _latent(member: Latents, prior: FloatArray, squares: FloatArray, item: int) -> MeanAndSd:
    """Return mean and sd [K] by latent models whose entities have these priors and squares of them [S, K, D]."""
    u = np.stack([part.item_mean[item] for part in member.parts])
    unsure = np.stack([part.item_variance[item] for part in member.parts])
    basis = np.concatenate([np.ones((len(u), 1)), u[:, 1:]], axis=1)
    own = [part.noise + basis[s] ** 2 @ part.entity_prior.variance for s, part in enumerate(member.parts)]
    means = (prior @ basis[..., None])[..., 0] + u[:, :1]
    variances = (squares @ unsure[..., None])[..., 0].mean(axis=0) + float(np.mean(own))
    return means.mean(axis=0), np.sqrt(variances + means.var(axis=0))


def _similar(member: PreparedSimilarity, offset: FloatArray, item: int, item_x: FloatArray) -> MeanAndSd:
    """Return mean and sd [K] by similarity, of entities with these offsets [K]."""
    row = member.rows[item]
    mean = float(row.mean())
    around = row - mean - member.shift
    shape, alike = around / member.level**0.5, np.clip(around / member.spread, -CLIP, CLIP)
    flat = (mean - float(member.mean.mean())) / member.mean_spread
    diagonal = np.array(
        [
            (shape**2).mean(),
            (alike**2).mean(),
            flat**2,
            float((member.quantities(item_x[None]) ** 2).sum()),
            1.0 if len(item_x) else 0.0,
            1.0,
        ]
    )
    settings = member.settings
    found, shares = _counted(_weights(settings))
    total = 0.0
    for (g, n, c), share in zip(found.tolist(), shares.tolist(), strict=True):
        own = float(settings.coefficients[g] @ diagonal) + settings.offsets[c]
        total += share * (max(own, LEAST_VARIANCE) + settings.noises[n])
    return mean + offset, np.full(len(offset), total**0.5)


def _weights(settings: Settings) -> FloatArray:
    """Return the weights [G, N, C] of settings before any probe."""
    weight = np.exp(settings.log_prior - settings.log_prior.max())
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def _counted(weight: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the settings that count [J, 3], the best first, and their shares [J]."""
    order = np.argsort(-weight, axis=None, kind="stable")[:MOST_COUNTED]
    kept = order[weight.flat[order] > COUNTED_SHARE * weight.flat[order[0]]]
    places = np.stack(np.unravel_index(kept, weight.shape), axis=1)
    return np.asarray(places, dtype=np.int64), np.asarray(weight.flat[kept] / weight.flat[kept].sum(), dtype=np.float64)
