"""A fitted predictor with one of its parts changed, without a new fit: what an ablation of the model asks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dnaml.core.errors import InputError
from dnaml.predict.calibration import Calibration
from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.gate import Gate
from dnaml.predict.runtime import RuntimePredictor

NEVER = -1e9  # logit of an expert that is not asked
EXPERTS = ("latent-low", "latent", "latent-high", "rows", "similarity", "signature", "ernest", "net")

Change = Callable[[Direction], Direction]


def varied(model: RuntimePredictor, change: Change) -> RuntimePredictor:
    """Return the predictor with every direction of its learned model changed; raise InputError where it has none."""
    state = model._fitted()
    if state.learned is None:
        raise InputError("a change of the model needs a learned one: fit on at least three resources or computations")
    directions = {name: change(direction) for name, direction in state.learned.directions.items()}
    other = RuntimePredictor(seed=model.seed)
    other._state = replace(state, learned=replace(state.learned, directions=directions))
    return other


def without(*experts: str) -> Change:
    """Return the change that takes the weight of some experts, where others are left to answer."""
    return lambda direction: _silenced(direction, [name in experts for name in direction.gate.names])


def alone(*experts: str) -> Change:
    """Return the change that leaves some experts alone to answer, where a direction has them."""
    return lambda direction: _silenced(direction, [name not in experts for name in direction.gate.names])


def unlearned_weights(direction: Direction) -> Direction:
    """Return a direction that weighs its experts as before any replay."""
    return replace(direction, gate=Gate.start(direction.gate.names))


def equal_weights(direction: Direction) -> Direction:
    """Return a direction that weighs all its experts alike."""
    gate = direction.gate
    common, bucket, unseen = (np.zeros_like(array) for array in (gate.common, gate.bucket, gate.unseen))
    return replace(direction, gate=replace(gate, common=common, bucket=bucket, unseen=unseen, own=0.0))


def plain_gaussian(direction: Direction) -> Direction:
    """Return a direction whose intervals are a Gaussian of the blend's own sd: nothing learned, no limits."""
    intervals = direction.intervals
    weights = np.zeros_like(intervals.weights)
    weights[1] = 1.0  # of ln sd
    normal = Calibration(limits={(-1, -1): (-1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645)}, counts={(-1, -1): 0})
    return replace(direction, intervals=replace(intervals, weights=weights, typical={}, calibration=normal))


def _silenced(direction: Direction, silent: list[bool]) -> Direction:
    if all(silent):
        return direction
    common = np.where(silent, NEVER, direction.gate.common)
    return replace(direction, gate=replace(direction.gate, common=common))
