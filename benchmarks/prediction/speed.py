"""How much processor time the predictor takes: to learn, to hear of new runs, to answer, to rank, to be loaded.

Every figure is CPU time of one thread. A row whose function this version does not have says so.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.prediction import banks, growth, synthetic
from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, unseen
from benchmarks.report import Row
from dnaml import RuntimePredictor

FIT_ROWS, QUICK_ROWS = 50_000, 5_000
PROBES = 10
RANKED, KEPT = 10_000, 256
SQUARE = 1_000
BANKED = 100_000
_REPEATS = 30
_MODELS = Path(__file__).resolve().parents[2] / "models"

Measured = tuple[float, str]
"""a value and its note"""


def rows(*, quick: bool, plot: Path | None = None) -> list[Row]:
    """Return the rows of speed; with `plot`, pictures of the growth are written into that folder."""
    count = QUICK_ROWS if quick else FIT_ROWS
    with threadpool_limits(1):
        begin_s = time.process_time()
        model = RuntimePredictor(seed=0).fit(history(count))
        fit_s = time.process_time() - begin_s
        print(f"speed: fit of {count} rows, {fit_s:.1f} s", file=sys.stderr, flush=True)
        found = [
            _row("fit", f"fit of {FIT_ROWS:,} runs", "s", 120, lambda: (fit_s, f"{count:,} runs")),
            _row("update", f"update with {PROBES} probes of a new resource", "ms", 10, partial(update_ms, model)),
            _row(
                "rank",
                f"one computation x {RANKED:,} resources, quantiles for {KEPT}",
                "ms",
                2,
                partial(rank_ms, model),
            ),
            _row("pairs", f"{SQUARE:,} x {SQUARE:,} pairs", "ms", 150, partial(pairs_ms, model, quick=quick)),
            _row("load", "load of the shipped model, without torch", "ms", 50, load_ms),
            _row(
                "memory", f"vectors and posteriors of {BANKED:,} resources", "MB", 150, partial(memory_mb, quick=quick)
            ),
        ]
        return [*found, *growth.rows(quick=quick, plot=plot)]


def history(count: int) -> pd.DataFrame:
    """Return so many made-up runs: five of eight pairs of equally many resources and computations."""
    side = int(np.ceil(np.sqrt(count * 1.6)))
    return synthetic.table(count, resources=side, computations=side)


def median_ms(act: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Return the median CPU milliseconds of an act, after one that does not count."""
    act()
    taken = []
    for _ in range(repeats):
        begin_s = time.process_time()
        act()
        taken.append(time.process_time() - begin_s)
    return 1e3 * float(np.median(taken))


def update_ms(model: RuntimePredictor) -> Measured:
    """Return what an update with probes of a resource never seen takes, and its predictions after are asked once."""
    probes = synthetic.table(PROBES, resources=1, computations=40, seed=1).assign(**{RESOURCE: "new"})
    taken_ms = median_ms(lambda: model.update(probes))
    warm = model.update(probes)
    asked_ms = median_ms(lambda: warm.predict(unseen(probes)), 5)
    return taken_ms, f"median of {_REPEATS}; {PROBES} predictions by the updated predictor take {asked_ms:.1f} ms"


def rank_ms(model: RuntimePredictor) -> Measured:
    """Return what ranking takes in two stages: the whole bank by its vectors, the best by the model itself.

    The pool is prepared: its resources, on which nothing ran, were read and described to every expert before.
    """
    known = history(QUICK_ROWS).iloc[[0]]
    computation = known[[COMPUTATION, *(name for name in known if str(name).startswith("c_"))]]
    stock = banks.stocked(RANKED)
    begin_s = time.process_time()
    ready = banks.prepared(model, stock, computation)
    prepare_s = time.process_time() - begin_s
    taken_ms = median_ms(lambda: banks.ranked(ready))
    first_ms = median_ms(lambda: banks.shortlisted(stock))
    note = f"median of {_REPEATS}; a known computation, resources on which nothing ran, in a pool prepared once in"
    return (
        taken_ms,
        f"{note} {prepare_s:.1f} s; the shortlist alone takes {first_ms:.2f} ms, the rest is the exact model",
    )


def pairs_ms(model: RuntimePredictor, *, quick: bool) -> Measured:
    """Return what the scores of all pairs take by the vectors; the exact model's time for fewer stands beside."""
    stock = banks.stocked(SQUARE, computations=SQUARE)
    taken_ms = median_ms(lambda: stock.bank.scores(stock.loadings, banks.BALANCED), 5)
    side = 30 if quick else 100
    pairs = synthetic.table(side * side, resources=side, computations=side, seed=5)
    exact_ms = median_ms(lambda: model.predict(unseen(pairs)), 1)
    note = f"by the vectors, time, cost and spread; the exact model takes {exact_ms:.0f} ms for {side} x {side} pairs"
    return taken_ms, note


def memory_mb(*, quick: bool) -> Measured:
    """Return the memory of a bank of the largest size, told from a tenth of it when quick."""
    count = BANKED // 10 if quick else BANKED
    bank_mb, slots_mb = banks.memory_mb(count)
    scale = BANKED / count
    note = f"bank {scale * bank_mb:.1f} MB with packed covariances, vectors {scale * slots_mb:.1f} MB"
    return scale * (bank_mb + slots_mb), note + (f"; measured on {count:,}" if quick else "")


_LOAD = """
import sys, time
import dnaml
begin_s = time.process_time()
from dnaml import RuntimePredictor
ready_s = time.process_time()
RuntimePredictor.load({folder!r})
print(1e3 * (time.process_time() - ready_s), 1e3 * (ready_s - begin_s), "torch" in sys.modules)
"""


def load_ms() -> Measured:
    """Return what the first load of the shipped model takes in a fresh process, once its class is there.

    What the class itself takes to be imported, numpy with it, stands in the note. Raises LookupError without a model.
    """
    folders = sorted(path.parent for path in _MODELS.glob("*/manifest.json"))
    if not folders:
        raise LookupError("no model is shipped in this version")
    command = [sys.executable, "-c", _LOAD.format(folder=str(folders[0]))]
    taken, imported = [], []
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LookupError(f"{folders[0].name}: {done.stderr.strip().splitlines()[-1]}")
        load, before, torch = done.stdout.split()
        if torch == "True":
            raise LookupError("loading the shipped model imports torch")
        taken.append(float(load))
        imported.append(float(before))
    note = f"first load, median of {len(taken)} fresh processes; importing the class before it takes"
    return float(np.median(taken)), f"{note} {np.median(imported):.0f} ms, numpy with it"


def _row(name: str, metric: str, unit: str, bar: float, measure: Callable[[], Measured]) -> Row:
    """Return the row of a measurement, without a value where this version has no such thing."""
    value: float | None
    try:
        value, note = measure()
    except LookupError as error:
        value, note = None, str(error)
    return Row(id=f"speed.{name}", metric=metric, value=value, unit=unit, bar=bar, note=note)
