"""A pool of described resources on which nothing ran, prepared once: exact quantiles for hundreds of them at a time.

Answers equal those of `RuntimePredictor.predict_quantiles`; a pool knows the predictor as it was when it was prepared.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.predict.outcomes import LONGEST_S, SHORTEST_S
from dnaml.predict.paired.cold import Cold
from dnaml.predict.paired.grid import Entity, FloatArray, IntArray
from dnaml.predict.runtime import RuntimePredictor

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A computation that the model knows, read once: its place among the items, and its description [Fi]."""

    item: int
    item_x: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """The prepared resources, in the order they came in; `frame` describes each in `r_*` columns."""

    model: RuntimePredictor
    frame: "pd.DataFrame"
    cold: Cold | None
    covered: "np.ndarray[tuple[int], np.dtype[np.bool_]]"

    @classmethod
    def of(cls, model: RuntimePredictor, resources: "pd.DataFrame") -> "Pool":
        """Return the pool of described resources, one row each with `resource_id`; linear in their number."""
        learned = model._fitted().learned
        frame = resources.reset_index(drop=True)
        if learned is None or Entity.RESOURCE.value not in learned.directions:
            return cls(model=model, frame=frame, cold=None, covered=np.zeros(len(frame), dtype=np.bool_))
        rows = learned.layout.rows(frame.assign(computation_id=""))
        direction = learned.directions[Entity.RESOURCE.value]
        ran = direction.grid.entities.codes(rows.resource) >= 0
        ran |= np.isin(rows.resource, learned.fresh.resource)
        cold = Cold.of(direction, direction.grid.entities.scale(rows.resource_x))
        return cls(model=model, frame=frame, cold=cold, covered=~ran)

    def asked(self, computation: "pd.DataFrame") -> Asked | None:
        """Return a computation (one row: `computation_id`, `c_*`, `s_*`) to ask about; None for one never seen."""
        if len(computation) != 1:
            raise InputError(f"asked: must be one row, got {len(computation)}")
        learned = self.model._fitted().learned
        if learned is None or self.cold is None:
            return None
        rows = learned.layout.rows(computation.assign(resource_id=""))
        grid = self.cold.direction.grid
        item = int(grid.items.codes(rows.computation)[0])
        return Asked(item=item, item_x=grid.items.scale(rows.computation_x)[0]) if item >= 0 else None

    def quantiles(self, computation: "pd.DataFrame", places: IntArray, asked: Asked | None = None) -> FloatArray:
        """Return seconds [K, Q] at LEVELS of one computation on the resources at some places.

        With what `asked` returned, resources on which nothing ran are answered in one pass; the others one by one.
        """
        found = np.empty((len(places), len(LEVELS)))
        quick = self.covered[places] if asked is not None else np.zeros(len(places), dtype=np.bool_)
        if asked is not None and self.cold is not None and quick.any():
            log_values = self.cold.quantiles(asked.item, asked.item_x, places[quick])
            found[quick] = np.exp(np.clip(log_values, np.log(SHORTEST_S), np.log(LONGEST_S)))
        if not quick.all():
            pairs = self.frame.iloc[places[~quick]]
            pairs = pairs.assign(**{str(name): computation[name].iloc[0] for name in computation.columns})
            found[~quick] = self.model.predict_quantiles(pairs, levels=LEVELS).to_numpy()
        return found
