"""D2: run tables with another unit, with columns in each other's place or without one; nothing is learned from them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.faults.outcome import Bar, Outcome, Tier
from dnaml.core.errors import InputError
from dnaml.datasets.screening import sound_rows
from dnaml.datasets.shipped import telemetry_table
from dnaml.datasets.table import IDS, TARGET, RunTable

ID = "D2"
RUNS = {Tier.QUICK: 12, Tier.SOAK: 500}
_SHARE = 0.05

Rows = npt.NDArray[np.int64]


def measure(runs: int, seed: int, folder: Path) -> Outcome:
    """Damage a twentieth of real rows in one way after the other, and count those that a predictor would learn from."""
    whole = pd.read_parquet(telemetry_table()).reset_index(drop=True)
    ways = (_milliseconds, _nanoseconds, _swapped_with("c_flop"), _swapped_with("c_working_set_bytes"))
    learned = set_aside = 0
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        rows = rng.permutation(len(whole))[: round(_SHARE * len(whole))]
        damaged = whole.assign(row=np.arange(len(whole)))
        ways[run % len(ways)](damaged, rows)
        kept, _ = sound_rows(RunTable.from_frame(damaged))
        inside = np.isin(rows, kept["row"].to_numpy())
        learned += int(inside.sum())
        set_aside += len(whole) - len(kept) - int((~inside).sum())
    return Outcome(
        id=ID,
        seed=seed,
        runs=runs,
        what="rows in another unit, columns swapped or missing",
        figures=(
            Bar(name="trained_on", value=float(learned), unit="rows", bar=0.0),
            Bar(name="tables_taken_without_a_column", value=float(_taken_without(whole)), unit="", bar=0.0),
            Bar(name="sound_rows_set_aside", value=set_aside / (runs * len(whole)) * 100.0, unit="%", bar=0.1),
        ),
    )


def _milliseconds(frame: pd.DataFrame, rows: Rows) -> None:
    frame.loc[rows, TARGET] *= 1e3


def _nanoseconds(frame: pd.DataFrame, rows: Rows) -> None:
    frame.loc[rows, TARGET] *= 1e9


def _swapped_with(column: str) -> Callable[[pd.DataFrame, Rows], None]:
    def swap(frame: pd.DataFrame, rows: Rows) -> None:
        frame.loc[rows, [TARGET, column]] = frame.loc[rows, [column, TARGET]].to_numpy()

    return swap


def _taken_without(whole: pd.DataFrame) -> int:
    """Return how many of the columns that every run needs can be absent without an error that names them."""
    taken = 0
    for name in (*IDS, TARGET):
        try:
            RunTable.from_frame(whole.drop(columns=name))
            taken += 1
        except InputError as error:
            taken += name not in str(error)
    return taken
