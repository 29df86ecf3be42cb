"""Learns from the collected runs and says how well: error, coverage and order on runs and cells it never saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dnaml.core.plan import FloatArray
from dnaml.core.protocols import Run
from dnaml.datasets.table import RunTable
from dnaml.predict import metrics
from dnaml.predict.runtime import RuntimePredictor

QUANTILE_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quality:
    """How predictions met measured runtimes; errors and coverage in percent. `calibration` pairs stated with met."""

    runs: int
    mdape: float
    cover80: float
    spearman: float
    truth_s: FloatArray
    predicted_s: FloatArray
    calibration: list[tuple[float, float]] = field(default_factory=list)


def fit(runs: Sequence[Run], *, seed: int) -> RuntimePredictor:
    """Return a predictor that learnt from runs."""
    return RuntimePredictor(seed=seed).fit(RunTable.from_runs(runs))


def judge(model: RuntimePredictor, runs: Sequence[Run]) -> Quality:
    """Return how a model's predictions meet runs that it never saw."""
    return quality_of(*answers(model, runs))


def answers(model: RuntimePredictor, runs: Sequence[Run]) -> tuple[FloatArray, FloatArray]:
    """Return what runs took [N] and what a model says of them: quantiles [N, Q] in seconds."""
    frame = RunTable.from_runs(runs).frame
    return frame["runtime_s"].to_numpy(float), model.predict_quantiles(frame, levels=QUANTILE_LEVELS).to_numpy(float)


def zero_shot(runs: Sequence[Run], resource_id: str, *, seed: int) -> Quality:
    """Return how a model that learnt from the other resources alone foretells one on which nothing ran."""
    model = fit([run for run in runs if run.resource.id != resource_id], seed=seed)
    return judge(model, [run for run in runs if run.resource.id == resource_id])


def folds_of(runs: Sequence[Run], folds: int, *, judged: int, seed: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Hold back drawn folds of the runs, one after the other, until so many are `judged`.

    Yields a fold's answers by a model that learnt from all the others.
    """
    fold = np.random.default_rng(seed + 1).permutation(len(runs)) % folds
    for held in range(min(judged, folds)):
        rest = [run for run, number in zip(runs, fold, strict=True) if number != held]
        yield answers(fit(rest, seed=seed), [run for run, number in zip(runs, fold, strict=True) if number == held])


def quality_of(truth_s: FloatArray, values_s: FloatArray) -> Quality:
    """Return how quantiles [N, Q] meet runtimes [N]."""
    middle = values_s[:, QUANTILE_LEVELS.index(0.5)]
    low, high = values_s[:, QUANTILE_LEVELS.index(0.1)], values_s[:, QUANTILE_LEVELS.index(0.9)]
    return Quality(
        runs=len(truth_s),
        mdape=metrics.mdape(truth_s, middle),
        cover80=metrics.coverage(truth_s, low, high),
        spearman=metrics.spearman(truth_s, middle),
        truth_s=truth_s,
        predicted_s=middle,
        calibration=[
            (level, float(np.mean(truth_s <= values_s[:, index]))) for index, level in enumerate(QUANTILE_LEVELS)
        ],
    )
