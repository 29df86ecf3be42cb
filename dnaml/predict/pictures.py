"""Pictures of a model as matplotlib figures: how calibrated it is, how it meets the clock, and a map of its DNA.

Nothing is shown or saved here; matplotlib is imported when the first figure is drawn, without a display.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.dna.flat import plane
from dnaml.predict.evaluation import Answers, met, pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = ("o", "^", "s", "D", "v", "P")


def calibration(series: Mapping[str, Sequence[Answers]]) -> "Figure":
    """Return stated against met levels, one line a series; below the diagonal, runs took longer than was said."""
    figure, axes = _axes("stated: the share of runs that stay below", "met (share of runs)")
    axes.plot([0, 1], [0, 1], linestyle="--", color="0.6", linewidth=1)
    for mark, (label, parts) in zip(_marks(series), series.items(), strict=True):
        stated, reached = zip(*met(*pooled(parts)), strict=True)
        axes.plot(stated, reached, marker=mark, markersize=4, linewidth=1, label=label)
    axes.legend()
    return figure


def scatter(series: Mapping[str, Sequence[Answers]]) -> "Figure":
    """Return predicted median against measured runtime in seconds, one mark a run."""
    figure, axes = _axes("measured (s)", "predicted median (s)")
    for mark, (label, parts) in zip(_marks(series), series.items(), strict=True):
        truth, values = pooled(parts)
        axes.plot(truth, values[:, values.shape[1] // 2], mark, markersize=2, alpha=0.5, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends = [*axes.get_xlim()]
    axes.plot(ends, ends, linestyle="--", color="0.6", linewidth=1)
    axes.legend()
    return figure


def dna_map(vectors: Mapping[str, npt.NDArray[np.float32]]) -> "Figure":
    """Return the vectors in their two directions of largest variance: what lies together is alike."""
    figure, axes = _axes("first direction", "second direction")
    places = plane(np.array(list(vectors.values()), dtype=np.float64))
    axes.plot(places[:, 0], places[:, 1], "o", markersize=4)
    for name, (x, y) in zip(vectors, places.tolist(), strict=True):
        axes.annotate(name, (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
    return figure


def _axes(across: str, up: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _marks(series: Mapping[str, object]) -> list[str]:
    return [MARKS[place % len(MARKS)] for place in range(len(series))]
