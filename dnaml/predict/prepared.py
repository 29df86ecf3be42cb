"""A pool of described resources, prepared once: exact quantiles for one computation on hundreds of them at a time.

Answers equal those of `RuntimePredictor.predict_quantiles`; a pool knows the predictor as it was when it was prepared.
Resources on which nothing ran are answered in one pass; where the computation's own history decides, in one task; a
resource with runs of its own by itself, once for each computation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, Resource
from dnaml.datasets.table import resource_features
from dnaml.predict.outcomes import LONGEST_S, SHORTEST_S
from dnaml.predict.paired.cold import Cold, Question
from dnaml.predict.paired.grid import Entity, FloatArray, IntArray
from dnaml.predict.paired.layout import Rows
from dnaml.predict.paired.learned import Learned

if TYPE_CHECKING:
    import pandas as pd

    from dnaml.predict.runtime import RuntimePredictor

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A computation, read once. `question` is what resources on which nothing ran are asked, None where the
    computation's own history answers for them; `both` says that it answers beside.

    Shapes: said [N, Q] ln seconds of resources that were answered before, `known` [N] which: they only save time.
    """

    row: Rows
    question: Question | None
    both: bool
    said: FloatArray
    known: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """The prepared resources, in the order they came in. `covered` [N] marks those on which nothing ran."""

    learned: Learned
    rows: Rows
    cold: Cold | None
    covered: BoolArray

    @classmethod
    def of(cls, learned: Learned, resources: "pd.DataFrame") -> "Pool":
        """Return the pool of described resources, one row each with `resource_id` and `r_*`; linear in their number."""
        rows = learned.layout.rows(resources.assign(computation_id=""))
        ran = np.isin(rows.resource, learned.fresh.resource)
        for entity, direction in learned.directions.items():
            known = direction.grid.entities if entity == Entity.RESOURCE.value else direction.grid.items
            ran |= known.codes(rows.resource) >= 0
        own = learned.directions.get(Entity.RESOURCE.value)
        cold = None if own is None else Cold.of(own, own.grid.entities.scale(rows.resource_x))
        return cls(learned=learned, rows=rows, cold=cold, covered=~ran)

    def __len__(self) -> int:
        return len(self.rows)

    def asked(self, computation: "pd.DataFrame") -> Asked:
        """Return a computation (one row: `computation_id`, `c_*`, `s_*`) to ask about."""
        if len(computation) != 1:
            raise InputError(f"asked: must be one row, got {len(computation)}")
        row = self.learned.layout.rows(computation.assign(resource_id=""))
        new = np.flatnonzero(self.covered)[:1]
        sides = {entity for entity, places in self.learned.chosen(self._pairs(row, new)) if len(places)}
        question = None
        if self.cold is not None and Entity.RESOURCE in sides:
            items = self.cold.direction.grid.items
            item = int(items.codes(row.computation)[0])
            question = self.cold.question(item, items.scale(row.computation_x)[0])
        return Asked(
            row=row,
            question=question,
            both=len(sides) == 2,
            said=np.empty((len(self), len(LEVELS))),
            known=np.zeros(len(self), dtype=np.bool_),
        )

    def quantiles(self, asked: Asked, places: IntArray) -> FloatArray:
        """Return seconds [K, Q] at LEVELS of one computation on the resources at some places."""
        quick = self.covered[places] if asked.question is not None else np.zeros(len(places), dtype=np.bool_)
        if quick.all() and not asked.both:
            return _seconds(self._cold(asked, places))
        fresh = places[~asked.known[places]]
        if len(fresh):
            self._answer(asked, np.unique(fresh))
        return _seconds(asked.said[places])

    def _cold(self, asked: Asked, places: IntArray) -> FloatArray:
        assert self.cold is not None
        assert asked.question is not None
        return self.cold.quantiles(asked.question, places)

    def _answer(self, asked: Asked, places: IntArray) -> None:
        """Keep what the model says of some resources: [K] places, each once."""
        quick = self.covered[places] if asked.question is not None else np.zeros(len(places), dtype=np.bool_)
        new, others = places[quick], places[~quick]
        if len(new):
            asked.said[new] = self._cold(asked, new)
            if asked.both:
                asked.said[new] = (asked.said[new] + self._by_history(asked, new)) / 2
        if len(others):
            asked.said[others] = self.learned.quantiles(self._pairs(asked.row, others))[0]
        asked.known[places] = True

    def _by_history(self, asked: Asked, places: IntArray) -> FloatArray:
        """Return ln seconds [K, Q] as the computation's own side answers for resources on which nothing ran."""
        found, rows = np.empty((len(places), len(LEVELS))), self._pairs(asked.row, places)
        for chosen, task in self.learned.tasks(Entity.COMPUTATION, rows, np.arange(len(rows))):
            found[chosen] = self.learned.directions[Entity.COMPUTATION.value].quantiles(task)
        return found

    def _pairs(self, row: Rows, places: IntArray) -> Rows:
        """Return the pairs of one computation with the resources at some places."""
        whole, one = self.rows[places], row[np.zeros(len(places), dtype=np.int64)]
        return Rows(
            resource=whole.resource,
            computation=one.computation,
            resource_x=whole.resource_x,
            computation_x=one.computation_x,
            telemetry=whole.telemetry,
            scale_out=np.stack([whole.scale_out[:, 0], one.scale_out[:, 1]], axis=1),
            group=whole.group,
            y=whole.y,
        )


def asked_by(model: "RuntimePredictor", resources: Sequence[Resource]) -> Callable[[Computation], FloatArray]:
    """Return what answers quantiles [R, Q] of seconds at LEVELS for a computation on these resources."""
    import pandas as pd

    sides = pd.DataFrame([{"resource_id": r.id, **resource_features(r)} for r in resources])
    pool = Pool.of(model.learned, sides) if model.learned is not None and len(sides) else None
    mixed = model.mixed.on(sides) if model.mixed is not None and pool is not None else None

    def quantiles(computation: Computation) -> FloatArray:
        features = _features(computation)
        if not resources:
            return np.empty((0, len(LEVELS)))
        if pool is None:
            return model.predict_quantiles(sides.assign(**features), levels=LEVELS).to_numpy(dtype=np.float64)
        row = pd.DataFrame([features])
        seconds = pool.quantiles(pool.asked(row), np.arange(len(pool)))
        return seconds if mixed is None else _seconds(mixed(row, np.log(seconds)))

    return quantiles


def _features(computation: Computation) -> dict[str, float | str]:
    """Return a computation as the columns of a run table."""
    found: dict[str, float | str] = {"computation_id": computation.id, "c_kernel": computation.kernel}
    found.update({f"c_{name}": value for name, value in computation.demand.items()})
    found.update({f"s_{name}": value for name, value in computation.size.items()})
    return found


def _seconds(log_values: FloatArray) -> FloatArray:
    seconds: FloatArray = np.exp(np.clip(log_values, np.log(SHORTEST_S), np.log(LONGEST_S)))
    return seconds
