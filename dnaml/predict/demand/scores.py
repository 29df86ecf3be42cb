"""How good forecasts of demand are: pinball loss, error relative to a seasonal naive forecast, coverage."""

import numpy as np

from dnaml.core.errors import InputError
from dnaml.predict.demand.forecaster import LEVELS, FloatArray

_LEVELS = np.array(LEVELS)


def pinball(value: float, quantiles: FloatArray) -> float:
    """Return the mean pinball loss of quantiles [K] at LEVELS for the value that came."""
    above = value - quantiles
    return float(np.maximum(_LEVELS * above, (_LEVELS - 1) * above).mean())


def pinballs(values: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Return the mean pinball losses [N] of forecasts [N, K] for the values [N] that came."""
    above = values[:, None] - quantiles
    losses: FloatArray = np.maximum(_LEVELS * above, (_LEVELS - 1) * above).mean(axis=1)
    return losses


def mase(values: FloatArray, said: FloatArray, naive: FloatArray) -> float:
    """Return the mean absolute error of forecasts over that of naive ones [N]: below 1 is better than naive.

    Raises InputError where the naive forecast is never wrong.
    """
    error = float(np.abs(values - naive).mean())
    if error == 0:
        raise InputError("mase: the naive forecast is never wrong, so nothing can be relative to it")
    return float(np.abs(values - said).mean()) / error
