"""New entities on which nothing ran, many at once: what each expert needs of them is worked out before any question.

A question is one item, known or not; what only it decides is worked out once (`Cold.question`). The answer for any of
the entities equals that of `Direction.quantiles` for a task without probes, but hundreds take about as long as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.core.prediction import LEVELS
from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.gate import bucket_of
from dnaml.predict.paired.grid import FloatArray, IntArray, Task
from dnaml.predict.paired.intervals import LEAST_NOVELTY, LEAST_SD
from dnaml.predict.paired.kernels import COUNTED_SHARE, LEAST_VARIANCE, MOST_COUNTED, Settings
from dnaml.predict.paired.latent import Latent, Latents
from dnaml.predict.paired.net import MOST_ENTITY_NOISE, Net, OneNet, Told
from dnaml.predict.paired.rows import PreparedRows
from dnaml.predict.paired.similarity import CLIP, PreparedSimilarity
from dnaml.predict.paired.sources import Sources

MeanAndSd = tuple[FloatArray, FloatArray]
FAST = NET, ROWS, SIMILAR = "net", "rows", "similarity"
ONLY = np.zeros(1, dtype=np.int64)  # the place of a question's item in its task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetItem:
    """One item as M nets see it: means = level + view @ pull, variances = still + loud * louder.

    Shapes: pull [M * (V + R), M], each net's own block and zeros elsewhere; level, loud [M]; `still` a mean over nets.
    """

    pull: FloatArray
    level: FloatArray
    still: float
    loud: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColdNet:
    """M nets' view of N entities. Shapes: view [N, M * (V + R)], wide and latent vectors; louder [N, M]."""

    nets: tuple[OneNet, ...]
    view: FloatArray
    louder: FloatArray

    @classmethod
    def of(cls, nets: tuple[OneNet, ...], entity_x: FloatArray) -> "ColdNet":
        """Return what the nets say of entities described by [N, Fe]; their telemetry is unknown."""
        views, louder = [], []
        for net in nets:
            blank = np.zeros((len(entity_x), net.entity.w1.shape[0] - entity_x.shape[1]))
            out, rank = net.entity(np.concatenate([entity_x, blank], axis=1)), len(net.precision)
            views += [out[:, rank + 1 :], out[:, :rank]]
            louder.append(np.exp(MOST_ENTITY_NOISE * np.tanh(out[:, rank])))
        return cls(nets=nets, view=np.concatenate(views, axis=1), louder=np.stack(louder, axis=1))

    def item(self, task: Task, sources: Sources) -> NetItem:
        """Return the task's only item."""
        told, pulls, level, still, loud = Told.of(task, sources, self.nets[0].known), [], [], [], []
        for net in self.nets:
            seen, square = net.encode(task, told), net.scale**2
            loadings = seen.loadings[0]
            pulls.append(net.scale * np.concatenate([seen.wide[0], loadings]))
            level.append(told.effect[0] + net.offset + net.scale * seen.bias[0])
            still.append(square * (loadings**2 / net.precision).sum())
            loud.append(square * seen.noise[0])
        return NetItem(
            pull=_blocks(pulls),
            level=np.array(level),
            still=float(np.mean(still)),
            loud=np.array(loud) / len(loud),
        )

    def at(self, item: NetItem, places: IntArray) -> MeanAndSd:
        """Return mean and sd [K] of ln seconds of an item on some of the entities."""
        means = self.view[places] @ item.pull + item.level  # [K, M]
        variance = item.still + self.louder[places] @ item.loud
        return means.mean(axis=1), np.sqrt(variance + means.var(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowsItem:
    """One item as the rows expert sees it. Shapes: scores [R], own [V] its variance by level beside the settings'."""

    mean: float
    scores: FloatArray
    own: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColdRows:
    """The rows expert's view of N entities. Shapes: level [N]; pull [N, R] mixed over settings; apart [N, D * R] how
    far each ridge of the counted settings pulls elsewhere, and by_ridge [V, D] what each is worth; per level and
    counted setting: shares, offsets, noises [V, J], coefficients [V, J, B].
    """

    rows: PreparedRows
    level: IntArray
    pull: FloatArray
    apart: FloatArray
    by_ridge: FloatArray
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
        coefficients = np.zeros((levels, MOST_COUNTED, rows.settings.coefficients.shape[1]))
        worth = np.zeros_like(mixed)  # of each ridge among the counted settings
        for v in range(levels):
            settings = rows._trusting(v)
            weight = _weights(settings)
            mixed[v] = np.bincount(settings.mean, weights=weight.sum(axis=(1, 2)), minlength=mixed.shape[1])
            found, share = _counted(weight)
            counted = slice(len(found))
            g, n, c = found.T
            worth[v] = np.bincount(settings.mean[g], weights=share, minlength=mixed.shape[1])
            shares[v, counted], coefficients[v, counted] = share, settings.coefficients[g]
            offsets[v, counted], noises[v, counted] = settings.offsets[c], settings.noises[n]
        most = int((worth > 0).sum(axis=1).max())
        ridge = np.argsort(-worth, axis=1, kind="stable")[:, :most]  # [V, D]
        pull = np.empty((len(entity_x), rows.basis.shape[1]))
        apart = np.empty((len(entity_x), most, rows.basis.shape[1]))
        for place, x in enumerate(entity_x):
            each = rows.regression.pull(x)
            pull[place] = mixed[level[place]] @ each
            apart[place] = each[ridge[level[place]]] - pull[place]
        return cls(
            rows=rows,
            level=level,
            pull=pull,
            apart=apart.reshape(len(apart), -1),
            by_ridge=np.take_along_axis(worth, ridge, axis=1),
            shares=shares,
            offsets=offsets,
            noises=noises,
            coefficients=coefficients,
        )

    def item(self, task: Task, direction: Direction) -> RowsItem:
        """Return the task's only item."""
        rows = self.rows
        mean, scores = rows._rows(task, direction.fitted.sources, ONLY)
        own = (self.shares * self.noises).sum(axis=1)
        own += rows.guessed if task.item[0] < 0 else rows.tail[task.item[0]]
        for v in range(len(own)):
            diagonal = rows._diagonal(rows.regression.left[v], scores, task.item_x)[:, 0]
            around = self.coefficients[v] @ diagonal + self.offsets[v]
            own[v] += self.shares[v] @ np.maximum(around, LEAST_VARIANCE)
        return RowsItem(mean=float(mean[0]), scores=scores[0], own=own)

    def at(self, item: RowsItem, places: IntArray) -> MeanAndSd:
        """Return mean and sd [K] of ln seconds of an item on some of the entities."""
        level = self.level[places]
        said = self.apart[places].reshape(len(places), self.by_ridge.shape[1], -1) @ item.scores  # [K, D], beside
        total = item.own[level] + (self.by_ridge[level] * said**2).sum(axis=1)
        return item.mean + self.pull[places] @ item.scores, np.sqrt(total)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentItem:
    """One item as the P latent models of all ranks see it: means = level + prior @ basis, variances = own + unsure.

    Shapes: level, own [P]; basis and unsure [D, P], each model's own block of the priors' D columns, zeros elsewhere.
    """

    level: FloatArray
    basis: FloatArray
    unsure: FloatArray
    own: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColdLatents:
    """What P latent models of all ranks expect of N entities, side by side. Shapes: prior [N, D]; `groups` names the
    models [P] of each expert.
    """

    parts: tuple[Latent, ...]
    groups: Mapping[str, slice]
    prior: FloatArray

    @classmethod
    def of(cls, members: Mapping[str, Latents], entity_x: FloatArray) -> "ColdLatents":
        """Return what they expect of entities described by [N, Fe]."""
        parts = [part for member in members.values() for part in member.parts]
        ends = np.cumsum([0, *(len(member.parts) for member in members.values())]).tolist()
        groups = {name: slice(*ends[place : place + 2]) for place, name in enumerate(members)}
        none = np.zeros((len(entity_x), 0))
        prior = np.concatenate([none, *(part.entity_prior(entity_x) for part in parts)], axis=1)
        return cls(parts=tuple(parts), groups=groups, prior=prior)

    def item(self, task: Task) -> LatentItem:
        """Return the task's only item."""
        level, own, bases, unsures = [], [], [], []
        for part in self.parts:
            u, unsure = (side[0] for side in part.items(task))
            basis = np.concatenate([[1.0], u[1:]])
            level.append(u[0])
            own.append(part.noise + basis**2 @ part.entity_prior.variance + unsure[0])
            bases.append(basis)
            unsures.append(np.concatenate([[0.0], unsure[1:]]))
        return LatentItem(level=np.array(level), own=np.array(own), basis=_blocks(bases), unsure=_blocks(unsures))

    def at(self, item: LatentItem, places: IntArray) -> dict[str, MeanAndSd]:
        """Return mean and sd [K] of ln seconds of an item on some of the entities, by the expert's name."""
        prior = self.prior[places]
        means, variances = prior @ item.basis + item.level, prior**2 @ item.unsure + item.own  # [K, P]
        both = {name: (means[:, group], variances[:, group]) for name, group in self.groups.items()}
        return {n: (m.mean(axis=1), np.sqrt(v.mean(axis=1) + m.var(axis=1))) for n, (m, v) in both.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """One item as every expert sees it. `similar` is the similarity expert's mean, before offsets, and its sd; weights
    [J] are the experts' and limits [L] those of the intervals.
    """

    net: NetItem | None
    rows: RowsItem | None
    similar: tuple[float, float] | None
    latents: LatentItem
    weights: Mapping[str, float]
    unseen: bool
    limits: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cold:
    """N entities prepared for one direction. Shapes: offset [N] of the similarity expert; far [N], ln of how far each
    lies from the nearest known one.
    """

    direction: Direction
    net: ColdNet | None
    rows: ColdRows | None
    offset: FloatArray
    far: FloatArray
    latents: ColdLatents

    @classmethod
    def of(cls, direction: Direction, entity_x: FloatArray) -> "Cold":
        """Return entities described by [N, Fe], standardised as the direction's own, prepared for questions."""
        members, sources, intervals = direction.fitted.members, direction.fitted.sources, direction.intervals
        net, rows, alike = members.get("net"), members.get("rows"), members.get("similarity")
        pulled = alike.offset + entity_x @ alike.offset_pull if isinstance(alike, PreparedSimilarity) else np.zeros(0)
        novelty = np.array([sources.novelty(x) for x in entity_x])
        return cls(
            direction=direction,
            net=ColdNet.of(net.nets, entity_x) if isinstance(net, Net) else None,
            rows=ColdRows.of(rows, entity_x) if isinstance(rows, PreparedRows) else None,
            offset=pulled,
            far=np.log(np.clip(novelty, intervals.nearest, intervals.farthest) + LEAST_NOVELTY),
            latents=ColdLatents.of({n: m for n, m in members.items() if isinstance(m, Latents)}, entity_x),
        )

    def question(self, item: int, item_x: FloatArray) -> Question:
        """Return what only an item decides: its place among the known ones or -1, its description [Fi]."""
        direction, none = self.direction, np.zeros(0)
        sources, members, names = direction.fitted.sources, direction.fitted.members, direction.gate.names
        task = Task(
            y=none,
            item=np.array([item], dtype=np.int64),
            item_x=item_x[None],
            scale_out=np.array([np.nan]),
            entity_x=np.zeros(sources.x.shape[1]),
            telemetry=np.zeros(direction.grid.telemetry.shape[2]),
            runs=none,
            own=np.zeros((1, 2)),
        )
        alike, similar = members.get("similarity"), None
        if isinstance(alike, PreparedSimilarity):
            similar = _similar(alike, alike._rows(task, sources, ONLY)[0], item_x)
        net = None if self.net is None else self.net.item(task, sources)
        rows = None if self.rows is None else self.rows.item(task, direction)
        able = {
            *self.latents.groups,
            *(n for n, one in zip(FAST, (net, rows, similar), strict=True) if one is not None),
        }
        spoken = np.array([[0.0 if name in able else np.nan for name in names]])
        weights = direction.gate.weights_of(spoken, np.full(len(names), np.nan), 0, item < 0)
        return Question(
            net=net,
            rows=rows,
            similar=similar,
            latents=self.latents.item(task),
            weights=dict(zip(names, weights.tolist(), strict=True)),
            unseen=item < 0,
            limits=direction.intervals.calibration.quantiles(np.zeros(1), np.ones(1), [(int(item < 0), bucket_of(0))])[
                0
            ],
        )

    def quantiles(self, question: Question, places: IntArray) -> FloatArray:
        """Return quantiles [K, L] of ln seconds of the item asked about on some of the entities."""
        every = {**self.latents.at(question.latents, places), **self._others(question, places)}
        said = {name: every[name] for name, weight in question.weights.items() if weight > 0}
        means, sds = (np.stack([both[side] for both in said.values()]) for side in (0, 1))  # [J, K]
        weights = np.array([question.weights[name] for name in said])
        mean = weights @ means
        spread = np.sqrt(weights @ (means - mean) ** 2)
        return self._interval(question, mean, np.sqrt(weights @ sds**2), spread, self.far[places])

    def _others(self, question: Question, places: IntArray) -> dict[str, MeanAndSd]:
        """Return mean and sd [K] by each of the other experts that say something without a probe."""
        found: dict[str, MeanAndSd] = {}
        if self.net is not None and question.net is not None:
            found[NET] = self.net.at(question.net, places)
        if self.rows is not None and question.rows is not None:
            found[ROWS] = self.rows.at(question.rows, places)
        if question.similar is not None:
            found[SIMILAR] = question.similar[0] + self.offset[places], np.full(len(places), question.similar[1])
        return found

    def _interval(
        self, question: Question, mean: FloatArray, sd: FloatArray, spread: FloatArray, far: FloatArray
    ) -> FloatArray:
        """Return quantiles [K, L] as `Intervals` gives them to blends without a probe."""
        weights = self.direction.intervals.weights
        log_scale = weights[0] + weights[1] * np.log(sd + LEAST_SD) + weights[2] * np.log(spread + LEAST_SD)
        log_scale += weights[4] * question.unseen
        if len(weights) > 5:  # a model may know no novelty
            log_scale += weights[5] * far
        found: FloatArray = mean[:, None] + np.exp(log_scale)[:, None] * question.limits
        assert found.shape[1] == len(LEVELS), "a limit stands for each level"
        return found


def _blocks(columns: Sequence[FloatArray]) -> FloatArray:
    """Return vectors as the columns of a matrix [sum of lengths, M], each in rows of its own."""
    found, begin = np.zeros((sum(map(len, columns)), len(columns))), 0
    for place, column in enumerate(columns):
        found[begin : begin + len(column), place] = column
        begin += len(column)
    return found


def _similar(member: PreparedSimilarity, row: FloatArray, item_x: FloatArray) -> tuple[float, float]:
    """Return mean and sd by similarity of an item with these known rows [S]; the entity's offset adds to the mean."""
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
    return mean, float(total**0.5)


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
