"""Rows that contradict all others are set aside: other units, swapped columns, a source that lies; honest ones stay."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.faults.d04_poisoned_rows import POISONS, parted
from dnaml.datasets.screening import SOURCE, contradicts, sound_rows
from dnaml.datasets.shipped import telemetry_table
from dnaml.datasets.table import RunTable


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return RunTable.from_frame(pd.read_parquet(telemetry_table())).frame


def test_of_real_runs_none_is_set_aside(real):
    assert not contradicts(real).any()
    assert len(sound_rows(RunTable.from_frame(real))[0]) == len(real)


@pytest.mark.parametrize("how", POISONS)
@pytest.mark.parametrize("share", [0.01, 0.05, 0.10])
def test_what_a_lying_source_sent_is_set_aside_and_nothing_else(real, share, how):
    others, sent = parted(real, share, how, np.random.default_rng(1))
    wrong = contradicts(pd.concat([others, sent], ignore_index=True))
    assert wrong[len(others) :].all()
    assert wrong[: len(others)].mean() < 0.002


def test_rows_in_another_unit_are_found_without_knowing_who_sent_them(real):
    rows = np.random.default_rng(0).permutation(len(real))[: len(real) // 20]
    frame = real.assign(runtime_s=real["runtime_s"].where(~real.index.isin(rows), real["runtime_s"] * 1000.0))
    table = RunTable.from_frame(frame)
    kept, reasons = sound_rows(table)
    assert reasons == {"contradicts the other runs": len(rows)}
    assert not kept.index.isin(rows).any()


def test_a_slow_resource_and_an_honest_source_with_few_rows_are_kept():
    rng = np.random.default_rng(2)
    rows = [(f"r{r}", f"c{c}", (1 + c) * (100.0 if r == 3 else 1.0)) for r in range(8) for c in range(20)]
    frame = pd.DataFrame(rows, columns=["resource_id", "computation_id", "runtime_s"])
    frame["runtime_s"] *= np.exp(rng.normal(0.0, 0.05, len(frame)))
    assert not contradicts(frame.assign(**{SOURCE: ["only"] * 5 + ["most"] * (len(frame) - 5)})).any()


def test_where_too_few_rows_could_tell_who_is_wrong_nothing_is_set_aside():
    frame = pd.DataFrame({"resource_id": ["a", "a"], "computation_id": ["f", "g"], "runtime_s": [1.0, 1e6]})
    assert not contradicts(frame).any()
    assert contradicts(frame.iloc[:0]).shape == (0,)


def test_runs_that_failed_or_were_cut_short_are_left_out_by_reason():
    frame = pd.DataFrame(
        {
            "resource_id": list("aaa"),
            "computation_id": list("fgh"),
            "runtime_s": [1.0, 2.0, 3.0],
            "failed": [True, False, False],
            "censored": [False, True, False],
        }
    )
    kept, reasons = sound_rows(RunTable.from_frame(frame))
    assert (len(kept), reasons) == (1, {"failed": 1, "censored": 1})
