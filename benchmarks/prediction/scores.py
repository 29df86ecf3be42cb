"""How good one answer to one task is, and what a set of answers says."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.prediction.tasks import Task
from dnaml.predict.metrics import absolute_errors, coverage, log_width, spearman

Floats = npt.NDArray[np.float64]
RANDOM, CHOSEN = "random", "chosen"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """One answer: errors as shares [N], rank correlation, coverage in percent and ln width of p10 to p90.

    `by` names who answered (dnaml with its seed, or a peer), `probing` how the probes were found.
    """

    by: str
    target: str
    probe_count: int
    errors: Floats
    spearman: float
    cover: float
    width: float
    probing: str = RANDOM

    @property
    def mape(self) -> float:
        """Return the mean absolute error in percent."""
        return 100 * float(self.errors.mean())

    @property
    def mdape(self) -> float:
        """Return the median absolute error in percent."""
        return 100 * float(np.median(self.errors))


def scored(
    by: str,
    task: Task,
    predicted_s: Floats,
    interval: tuple[Floats, Floats] | None = None,
    *,
    probing: str = RANDOM,
    probe_count: int | None = None,
) -> Score:
    """Return the score of an answer [N], with its p10 and p90 where it has them."""
    truth = task.truth_s
    answer = np.clip(np.nan_to_num(predicted_s, nan=float(np.median(task.probes["runtime_s"]))), 1e-9, None)
    low, high = interval if interval is not None else (np.full(len(truth), np.nan),) * 2
    known = bool(np.isfinite(low).all() and np.isfinite(high).all())
    return Score(
        by=by,
        target=task.target,
        probe_count=task.probe_count if probe_count is None else probe_count,
        errors=absolute_errors(truth, answer),
        spearman=spearman(truth, answer),
        cover=coverage(truth, low, high) if known else np.nan,
        width=log_width(np.maximum(low, 1e-12), high) if known else np.nan,
        probing=probing,
    )


def mean_of(scores: Iterable[Score], measure: str) -> float:
    """Return a measure's mean over scores; `pooled` is the median error over all their rows together, in percent."""
    among = list(scores)
    if not among:
        return float("nan")
    if measure == "pooled":
        return 100 * float(np.median(np.concatenate([score.errors for score in among])))
    return float(np.mean([getattr(score, measure) for score in among]))


def median_of(scores: Iterable[Score], measure: str) -> float:
    """Return a measure's median over targets, each at its mean; `pooled` is taken target by target."""
    by_target: dict[str, list[Score]] = {}
    for score in scores:
        by_target.setdefault(score.target, []).append(score)
    means = [mean_of(group, measure) for group in by_target.values()]
    return float(np.median(means)) if means else float("nan")
