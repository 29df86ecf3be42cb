"""What a policy believes of predicted runtimes: the less sure one is, the more it is drawn to what the others say.

Whoever takes the smallest of many noisy predictions mostly finds the one with the luckiest error. The logarithm of a
runtime is a job's effect plus a configuration's plus a rest; the prediction of each pair is shrunk to the sum of the
first two by how much of its variance is error (empirical Bayes: Efron and Morris 1973).
"""

from dataclasses import replace

import numpy as np

from dnaml.schedule.rounds.round import BoolArray, FloatArray, Round

_SWEEPS = 8
_LEAST = 1e-9


def believed(now: Round) -> Round:
    """Return the round with its runtimes as they should be believed; exact ones stay as they are."""
    if now.log_sd is None or not now.log_sd.any():
        return now
    possible = np.isfinite(now.whole_s) & (now.whole_s > 0)
    if len(now.numbers) < 2 or now.whole_s.shape[1] < 2:
        return now
    said = np.log(np.where(possible, now.whole_s, 1.0))
    mean, sd = posterior(said, now.log_sd, possible)
    ratio = np.exp(np.where(possible, mean - said, 0.0))
    return replace(now, left_s=now.left_s * ratio, whole_s=now.whole_s * ratio, speed=now.speed / ratio, log_sd=sd)


def posterior(said: FloatArray, sd: FloatArray, possible: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return means and deviations [J, K] of logarithms `said` with errors of deviation `sd`, where `possible`."""
    rest = max(float(np.var(said[possible])), _LEAST)
    error = np.where(possible, sd**2, 0.0)
    rows, columns = np.zeros((said.shape[0], 1)), np.zeros((1, said.shape[1]))
    for _ in range(_SWEEPS):
        weight = np.where(possible, 1.0 / (rest + error), 0.0)
        rows = _mean(said - columns, weight, 1)
        columns = _mean(said - rows, weight, 0)
        left = said - rows - columns
        free = max(1, int(possible.sum()) - sum(said.shape))
        spread = float((left[possible] ** 2).sum()) / free
        rest = max(spread - float(error[possible].mean()), 0.05 * spread, _LEAST)
    trust = rest / (rest + error)
    return rows + columns + trust * (said - rows - columns), sd * np.sqrt(trust)


def _mean(values: FloatArray, weight: FloatArray, axis: int) -> FloatArray:
    total = np.maximum(weight.sum(axis=axis, keepdims=True), _LEAST)
    mean: FloatArray = (values * weight).sum(axis=axis, keepdims=True) / total
    return mean
