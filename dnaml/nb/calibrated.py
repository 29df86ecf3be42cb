"""Is what was said what then happened: stated levels against the share of runs that stayed below them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.answers.judged import LEVELS as DECIDED
from dnaml.answers.judged import judged_attempts
from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.nb.canvas import canvas
from dnaml.nb.sources import history_of, runs_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dnaml.client import Executor
    from dnaml.datasets.table import RunTable
    from dnaml.history import History
    from dnaml.predict.evaluation import Estimator

FloatArray = npt.NDArray[np.float64]


def calibration(
    subject: "Executor | History | str | Path | Estimator",
    runs: "RunTable | pd.DataFrame | str | Path | None" = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw stated against met levels; on the dashed line both agree, below it runs took longer than was said.

    Of a state folder or executor: what its decisions said of the attempts that then ended well. Of a predictor: what
    it says of `runs`, which it should not have learned from. Bars are one standard error.
    """
    if runs is not None:
        levels, met, count = _answered(subject, runs)  # type: ignore[arg-type]  # with runs it is a predictor
    else:
        levels, met, count = _decided(subject)  # type: ignore[arg-type]  # without runs it has a history
    axes = canvas(ax, across="stated (share of runs)", up="met (share of runs)", title=f"{count} runs")
    axes.plot([0, 1], [0, 1], linestyle="--", color="0.6", linewidth=1)
    error = np.sqrt(np.maximum(met * (1 - met), 0.0) / count)
    axes.errorbar(levels, met, yerr=error, marker="o", markersize=4, linewidth=1, capsize=2)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return axes


def _decided(subject: "Executor | History | str | Path") -> tuple[FloatArray, FloatArray, int]:
    history = history_of(subject)
    rows = [one.below for one in judged_attempts(history)]
    met = np.array(rows, dtype=np.float64).reshape(len(rows), len(DECIDED))
    if len(met) == 0:
        raise InputError(f"{history.state.root}: no decided attempt has ended well yet")
    return np.array(DECIDED), met.mean(axis=0), len(met)


def _answered(model: "Estimator", runs: "RunTable | pd.DataFrame | str | Path") -> tuple[FloatArray, FloatArray, int]:
    from dnaml.predict.evaluation import answered, met

    table = runs_of(runs)
    told = table.rows(~(table.frame["failed"] | table.frame["censored"]).to_numpy(dtype=bool))
    if len(told) == 0:
        raise InputError("calibration: no run tells a runtime")
    made = answered(model, told)
    reached = [share for _, share in met(made.truth_s, made.values_s)]
    return np.array(LEVELS), np.array(reached), len(told)
