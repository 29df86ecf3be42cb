"""What could be run next, as a joint Gaussian over pairs: what the choice of probes asks of the learned model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dnaml.core.errors import InputError
from dnaml.predict.paired.grid import Entity, FloatArray
from dnaml.predict.paired.learned import LEAST_SD, SPAN, Learned
from dnaml.predict.probing import Candidates, Goal

if TYPE_CHECKING:
    import pandas as pd


def candidates(
    learned: Learned | None,
    pairs: "pd.DataFrame",
    price_usd_per_s: FloatArray,
    prices: Mapping[str, float],
    goal: Goal,
) -> tuple[Candidates, float | None]:
    """Return the pairs as candidates, and the best value that runs of the same entities have measured so far.

    The value is in seconds, or in USD for the goal CHEAPEST; `prices` are USD per second by resource id.
    """
    if learned is None:
        raise InputError("next_probe: needs a learned model: fit on at least three resources or computations")
    rows = learned.layout.rows(pairs)
    count = len(rows)
    mean, covariance, noise = np.zeros(count), np.zeros((count, count)), np.zeros(count)
    asked_names: dict[Entity, set[str]] = {}
    left = np.ones(count, dtype=np.bool_)
    for entity, chosen in learned.chosen(rows):
        chosen = chosen[left[chosen]]
        for places, task in learned.tasks(entity, rows, chosen):
            mean[places], covariance[np.ix_(places, places)], noise[places] = learned.directions[entity.value].joint(
                task
            )
        left[chosen] = False
        asked_names.setdefault(entity, set()).update(rows.names(entity)[0][chosen].tolist())
    if goal is not Goal.LEARN:  # how far a pair may lie from its prediction is what the calibrated interval says
        log_values, _ = learned.quantiles(rows)
        sd = (log_values[:, -2] - log_values[:, 1]) / SPAN
        ratio = sd / np.sqrt(np.maximum(np.diagonal(covariance), LEAST_SD**2))
        covariance *= np.outer(ratio, ratio)
    known = np.isfinite(price_usd_per_s).any()
    found = Candidates(
        mean=mean,
        covariance=covariance,
        noise=np.maximum(noise, learned.repeat_sd**2),
        price_usd_per_s=price_usd_per_s if known else None,
    )
    values = [
        value for entity, names in asked_names.items() for value in _measured(learned, entity, names, goal, prices)
    ]
    return found, min(values, default=None)


def _measured(
    learned: Learned, entity: Entity, names: set[str], goal: Goal, prices: Mapping[str, float]
) -> list[float]:
    """Return the seconds, or the USD, of every pair of these entities that ran."""
    values = []
    for name in sorted(names):
        for item, (y, _) in learned.measured(entity, name).items():
            resource = name if entity is Entity.RESOURCE else item
            value = float(np.exp(y)) * (prices.get(resource, np.nan) if goal is Goal.CHEAPEST else 1.0)
            values.append(value)
    return [value for value in values if np.isfinite(value)]
