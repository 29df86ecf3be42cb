"""The learned model of both directions: which of them answers a pair, and what is known of its entity by now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dnaml.core.prediction import LEVELS
from dnaml.predict.outcomes import NORMAL
from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.grid import BoolArray, Entity, FloatArray, IntArray, Task
from dnaml.predict.paired.layout import Layout, Rows, TextArray, grid_of, means, repeat_sd

if TYPE_CHECKING:
    import pandas as pd

MOST_PROBES = 300  # of one entity; the last ones count
SPAN = 2 * 1.2815516  # sds between p10 and p90
LEAST_SD = 1e-3
SHOWN = (0, 1, 3, 10)  # numbers of probes whose weights are told


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """The fitted directions by the value of their `Entity`, and the runs that no grid's entities hold: those that came
    after the fit, and in a large table those of members that its grids leave out.

    `repeat_sd` is that of ln seconds between runs of one pair.
    """

    layout: Layout
    directions: Mapping[str, Direction]
    fresh: Rows
    fitted_runs: int
    repeat_sd: float

    @classmethod
    def fit(cls, frame: "pd.DataFrame", *, seed: int = 0) -> "Learned | None":
        """Return the model of training rows; None when neither direction has enough to hold any out."""
        layout = Layout.of(frame)
        rows = layout.rows(frame)
        fitted = {entity.value: Direction.fit(grid_of(rows, entity), seed=seed) for entity in Entity}
        directions = {name: direction for name, direction in fitted.items() if direction is not None}
        return cls._of(layout, rows, directions) if directions else None

    def refitted(self, frame: "pd.DataFrame", *, seed: int = 0) -> "Learned | None":
        """Return the model of some of its training rows, which replays nothing: it weighs experts as this one does.

        None when neither direction has enough entities left.
        """
        rows = self.layout.rows(frame)
        fitted = {name: d.refitted(grid_of(rows, Entity(name)), seed=seed) for name, d in self.directions.items()}
        directions = {name: direction for name, direction in fitted.items() if direction is not None}
        return self._of(self.layout, rows, directions) if directions else None

    @classmethod
    def _of(cls, layout: Layout, rows: Rows, directions: Mapping[str, Direction]) -> "Learned":
        """Return the model of rows; those whose entities no grid holds stand behind as fresh ones."""
        held = np.ones(len(rows), dtype=np.bool_)
        for name, direction in directions.items():
            held &= direction.grid.entities.codes(rows.names(Entity(name))[0]) >= 0
        return cls(
            layout=layout,
            directions=directions,
            fresh=rows[~held],
            fitted_runs=int(held.sum()),
            repeat_sd=repeat_sd(rows),
        )

    def updated(self, frame: "pd.DataFrame") -> "Learned":
        """Return the model that knows these runs too."""
        return replace(self, fresh=self.fresh.joined(self.layout.rows(frame)))

    @property
    def runs(self) -> int:
        """Return how many runs the model knows."""
        return self.fitted_runs + len(self.fresh)

    @property
    def weights(self) -> dict[str, dict[str, float]]:
        """Return the weight of each expert by direction and number of probes, as replays asked for."""
        return {
            f"{name}/{probes}": direction.gate.shares(probes)
            for name, direction in self.directions.items()
            for probes in SHOWN
        }

    def log_quantiles(self, frame: "pd.DataFrame") -> tuple[FloatArray, list[str]]:
        """Return quantiles [N, L] of ln seconds at LEVELS for pairs, and the path that answered each.

        Where both directions can answer alike, their quantiles are averaged.
        """
        return self.quantiles(self.layout.rows(frame))

    def quantiles(self, rows: Rows) -> tuple[FloatArray, list[str]]:
        """Return quantiles and paths as `log_quantiles` does, of pairs that are rows already."""
        total, count = np.zeros((len(rows), len(LEVELS))), np.zeros(len(rows))
        paths = np.full(len(rows), "", dtype="<U40")
        for entity, chosen in self.chosen(rows):
            for asked, task in self.tasks(entity, rows, chosen):
                total[asked] += self._with_own_runs(task, self.directions[entity.value].quantiles(task))
                count[asked] += 1
                paths[asked] = np.char.add(np.where(paths[asked] == "", "learned/", paths[asked]), f"{entity.value}+")
        return total / count[:, None], np.char.rstrip(paths, "+").tolist()

    def _with_own_runs(self, task: Task, log_values: FloatArray) -> FloatArray:
        """Return the quantiles [Q, L], of pairs that ran before drawn to their own runs as exact Gaussians would be."""
        place = np.flatnonzero(task.own[:, 1] > 0)
        if len(place):
            y, runs = task.own[place].T
            guess = 1.0 / np.maximum((log_values[place, -2] - log_values[place, 1]) / SPAN, LEAST_SD) ** 2
            own = runs / self.repeat_sd**2
            median = (guess * log_values[place, len(LEVELS) // 2] + own * y) / (guess + own)
            sd = np.sqrt(1.0 / (guess + own) + self.repeat_sd**2)
            log_values[place] = median[:, None] + sd[:, None] * NORMAL
        return log_values

    def chosen(self, rows: Rows) -> Iterator[tuple[Entity, IntArray]]:
        """Yield each direction with the rows that it answers.

        The entity is the side that training did not hold; of two new sides the one with more runs since, both if they
        are equal; of two known sides the one that ran with the smaller share of the others, else a computation.
        """
        share = {entity: self._known_share(entity, rows) for entity in Entity}
        probed = {entity: self._fresh_runs(entity, rows) for entity in Entity}
        for entity, other in ((Entity.RESOURCE, Entity.COMPUTATION), (Entity.COMPUTATION, Entity.RESOURCE)):
            if entity.value not in self.directions:
                continue
            new, other_new = share[entity] == 0, share[other] == 0
            scarcer = share[entity] < share[other]
            if entity is Entity.COMPUTATION:
                scarcer |= share[entity] == share[other]
            both_new = new & other_new & (probed[entity] >= probed[other])
            answers = np.where(new & other_new, both_new, np.where(new | other_new, new, scarcer))
            yield entity, np.flatnonzero(answers | (other.value not in self.directions))

    def _fresh_runs(self, entity: Entity, rows: Rows) -> IntArray:
        """Return how many runs each row's entity [N] has had since training."""
        distinct, count = np.unique(self.fresh.names(entity)[0], return_counts=True)
        runs = dict(zip(distinct.tolist(), count.tolist(), strict=True))
        return np.array([runs.get(name, 0) for name in rows.names(entity)[0].tolist()], dtype=np.int64)

    def _known_share(self, entity: Entity, rows: Rows) -> FloatArray:
        """Return the share of the items that each row's entity [N] ran with in training; 0 for one not held."""
        if entity.value in self.directions:
            grid = self.directions[entity.value].grid
            place, share = grid.entities.codes(rows.names(entity)[0]), grid.known.mean(axis=1)
        else:
            grid = next(iter(self.directions.values())).grid
            place, share = grid.items.codes(rows.names(entity)[0]), grid.known.mean(axis=0)
        return np.where(place >= 0, share[np.maximum(place, 0)], 0.0)

    def tasks(self, entity: Entity, rows: Rows, chosen: IntArray) -> Iterator[tuple[IntArray, Task]]:
        """Yield (places of rows, task) for each entity asked about, items seen and unseen apart."""
        grid = self.directions[entity.value].grid
        names, items = (side[chosen] for side in rows.names(entity))
        entity_x, item_x = (
            grid_side.scale(raw[chosen])
            for grid_side, raw in zip((grid.entities, grid.items), rows.descriptors(entity), strict=True)
        )
        item = grid.items.codes(items)
        scale_out = rows.item_scale_out(entity)[chosen]
        known: dict[str, _Probes] = {}
        for asked in _alike(names, item < 0, np.isfinite(scale_out), entity_x):
            name = str(names[asked[0]])
            if name not in known:
                known[name] = self._probes(entity, name)
            probes = known[name]
            place = grid.entities.index.get(name, -1)
            own = grid.entities.x[place] if place >= 0 else probes.entity_x
            yield (
                chosen[asked],
                Task(
                    y=probes.y,
                    item=np.concatenate([probes.item, item[asked]]),
                    item_x=np.concatenate([probes.item_x, item_x[asked]]),
                    scale_out=np.concatenate([probes.scale_out, scale_out[asked]]),
                    entity_x=entity_x[asked[0]] if own is None else own,
                    telemetry=probes.telemetry,
                    runs=probes.runs,
                    own=np.array([probes.pairs.get(name, (0.0, 0.0)) for name in items[asked].tolist()]),
                ),
            )

    def measured(self, entity: Entity, name: str) -> Mapping[str, tuple[float, float]]:
        """Return the mean ln seconds and the number of runs of one entity with each item, by the item's name."""
        return self._probes(entity, name).pairs

    def _probes(self, entity: Entity, name: str) -> "_Probes":
        """Return what is known of an entity: its training cells and its runs since, one probe per item."""
        grid = self.directions[entity.value].grid
        runs = self.fresh[np.flatnonzero(self.fresh.names(entity)[0] == name)[-4 * MOST_PROBES :]]
        entity_raw, item_raw = runs.descriptors(entity)
        item_names = runs.names(entity)[1]
        code = grid.items.codes(item_names)
        place = grid.entities.index.get(name, -1)
        cells = np.flatnonzero(grid.known[place]) if place >= 0 else np.zeros(0, dtype=np.int64)
        telemetry = grid.surprise(runs.telemetry, code)
        if place >= 0:
            telemetry = np.concatenate([grid.telemetry[place, cells], telemetry])
        label = np.concatenate([np.array(list(grid.items.index), dtype=object)[cells], item_names.astype(object)])
        names, first, inverse = np.unique(label.astype(str), return_index=True, return_inverse=True)
        times = grid.runs[place, cells] if grid.runs.size else np.ones(len(cells))
        times = np.concatenate([times, np.ones(len(runs))])
        told = times * np.concatenate([grid.y[place, cells], runs.y])
        count, total = (np.asarray(np.bincount(inverse, weights=w), dtype=np.float64) for w in (times, told))
        y = total / count
        last = np.sort(np.argsort(first, kind="stable")[-MOST_PROBES:])
        chosen = first[last]
        return _Probes(
            y=y[last],
            runs=count[last],
            pairs=dict(zip(names.tolist(), zip(y, count, strict=True), strict=True)),
            item=np.concatenate([cells, code])[chosen],
            item_x=np.concatenate([grid.items.x[cells], grid.items.scale(item_raw)])[chosen],
            scale_out=np.concatenate([grid.scale_out[cells], runs.item_scale_out(entity)])[chosen],
            telemetry=telemetry.mean(axis=0) if len(telemetry) else np.zeros(grid.telemetry.shape[2]),
            entity_x=grid.entities.scale(means(np.zeros(len(runs), dtype=np.int64), entity_raw))[0]
            if len(runs)
            else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Probes:
    """What is known of one entity, in the arrays of a `Task`; entity_x is None where nothing ran since the fit.

    `pairs` holds the mean ln seconds and the number of runs with each item, by its name.
    """

    y: FloatArray
    runs: FloatArray
    pairs: dict[str, tuple[float, float]]
    item: IntArray
    item_x: FloatArray
    scale_out: FloatArray
    telemetry: FloatArray
    entity_x: FloatArray | None


def _alike(names: TextArray, unseen: BoolArray, scaled: BoolArray, entity_x: FloatArray) -> Iterator[IntArray]:
    """Yield the rows of each entity that experts answer as one, so that no row's answer depends on the others.

    Apart are seen and unseen items, those with and without a scale-out, and different descriptions of the entity.
    """
    keys: dict[tuple[str, bool, bool, bytes], list[int]] = {}
    marks = zip(names.tolist(), unseen.tolist(), scaled.tolist(), strict=True)
    for place, (name, new, out) in enumerate(marks):
        keys.setdefault((name, bool(new), bool(out), entity_x[place].tobytes()), []).append(place)
    for places in keys.values():
        yield np.array(places, dtype=np.int64)
