"""How the predictor's time grows with the rows that it learns from and with the resources that it ranks.

The value of a row is the exponent of the growth: 1 where twice as much takes twice as long.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.prediction import banks, synthetic
from benchmarks.report import Row
from dnaml import RuntimePredictor

FIT_SIZES, QUICK_FIT_SIZES = (1_000, 3_000, 10_000, 30_000), (500, 1_000, 2_000)
PAIR_SIZES, QUICK_PAIR_SIZES = (100, 1_000, 10_000, 100_000), (100, 1_000, 10_000)
_LEARNT = 2_000


def rows(*, quick: bool, plot: Path | None = None) -> list[Row]:
    """Return the rows of growth, and draw them where a folder is given."""
    fits = {count: fit_s(count) for count in (QUICK_FIT_SIZES if quick else FIT_SIZES)}
    asked = predict_s(QUICK_PAIR_SIZES if quick else PAIR_SIZES)
    searched = search_s(QUICK_PAIR_SIZES if quick else PAIR_SIZES)
    if plot is not None:
        draw(
            {"fit: runs": fits, "predict: resources": asked, "shortlist: resources": searched},
            plot / "prediction-growth.svg",
        )
    return [
        _row("speed.growth.rows", "growth of the time of a fit with the runs", fits),
        _row("speed.growth.resources", "growth of the time to predict one computation with the resources", asked),
        _row("speed.growth.bank", "growth of the time of a shortlist with the resources", searched),
    ]


def fit_s(count: int) -> float:
    """Return the CPU seconds of a fit of so many runs."""
    side = int(np.ceil(np.sqrt(count * 1.6)))
    runs = synthetic.table(count, resources=side, computations=side)
    begin_s = time.process_time()
    RuntimePredictor(seed=0).fit(runs)
    taken_s = time.process_time() - begin_s
    print(f"growth: fit of {count} rows, {taken_s:.1f} s", file=sys.stderr, flush=True)
    return taken_s


def predict_s(sizes: Sequence[int]) -> dict[int, float]:
    """Return the CPU seconds of predicting one computation on so many resources never seen, by their number."""
    side = int(np.ceil(np.sqrt(_LEARNT * 1.6)))
    model = RuntimePredictor(seed=0).fit(synthetic.table(_LEARNT, resources=side, computations=side))
    found = {}
    for size in sizes:
        pairs = synthetic.table(size, resources=size, computations=1, seed=2).drop(columns="runtime_s")
        begin_s = time.process_time()
        model.predict(pairs)
        found[size] = time.process_time() - begin_s
    return found


def search_s(sizes: Sequence[int]) -> dict[int, float]:
    """Return the CPU seconds of a shortlist among so many resources, by their number: the mean of ten."""
    found = {}
    for size in sizes:
        stock = banks.stocked(size)
        banks.shortlisted(stock)
        begin_s = time.process_time()
        for _ in range(10):
            banks.shortlisted(stock)
        found[size] = (time.process_time() - begin_s) / 10
    return found


def exponent(taken_s: dict[int, float]) -> float:
    """Return the slope of ln seconds over ln size."""
    return float(np.polyfit(np.log(list(taken_s)), np.log(list(taken_s.values())), 1)[0])


def _row(row_id: str, metric: str, taken_s: dict[int, float]) -> Row:
    note = "CPU s: " + ", ".join(f"{size:,} {seconds:.3g}" for size, seconds in taken_s.items())
    return Row(id=row_id, metric=metric, value=exponent(taken_s), unit="exponent", note=note)


def draw(series: dict[str, dict[int, float]], file: Path) -> None:
    """Write a picture of seconds over size, both logarithmic, one panel for each series."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, (title, taken_s) in zip(np.atleast_1d(figure.subplots(1, len(series))), series.items(), strict=True):
        axes.loglog(list(taken_s), list(taken_s.values()), marker="o", color="#1f5fa8")
        axes.set(xlabel=title, ylabel="CPU seconds")
        axes.grid(visible=True, which="both", alpha=0.25)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
