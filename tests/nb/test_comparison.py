"""Resources, policies and predictors side by side."""

import numpy as np
import pandas as pd
import pytest

import dnaml
from dnaml import nb
from dnaml.core.errors import InputError
from dnaml.predict.recipe import Recipe, contenders

TRACE = "job_id,arrival_s,runtime_s:big,runtime_s:small\n" + "\n".join(f"j{n},{n},10,{20 + n}" for n in range(5))


@pytest.fixture
def reports(tmp_path):
    file = tmp_path / "jobs.csv"
    file.write_text(TRACE)
    return [dnaml.simulate(file, policy=name) for name in ("fifo", "srpt")]


def test_policies_are_rows_that_say_they_are_simulated(reports):
    table = nb.compare(*reports)
    assert list(table.index) == ["fifo", "srpt"]
    assert table["simulated"].all()
    assert table.loc["srpt", "mean_jct_s"] == reports[1].mean_jct_s


def test_machines_are_compared_by_median_seconds(batch):
    runs = pd.DataFrame(
        {
            "resource_id": ["a", "a", "a", "b", "b"],
            "computation_id": ["f", "f", "g", "f", "g"],
            "runtime_s": [1.0, 3.0, 5.0, 4.0, 1.0],
            "failed": [False, False, False, False, True],
        }
    )
    table = nb.compare(runs)
    assert table.loc["f", "a"] == 2.0
    assert list(table["fastest"]) == ["a", "a"]
    assert np.isnan(table.loc["g", "b"])
    assert table.loc["f", "slowest_over_fastest"] == 2.0
    assert set(nb.compare(batch)["fastest"]) <= {"plain", "checked"}
    assert nb.compare(dnaml.RunTable.from_frame(runs)).equals(table)


def test_a_table_in_a_file_is_compared_too(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("resource_id,computation_id,runtime_s\na,f,1\nb,f,2\n")
    assert nb.compare(file).loc["f", "fastest"] == "a"


def test_predictors_are_judged_by_the_same_runs(shaped):
    train, asked = shaped
    simple = contenders(Recipe())
    simple.pop("dnaml")
    fitted = {name: fit(train) for name, fit in simple.items()}
    table = nb.compare(fitted, runs=asked)
    assert list(table.index) == list(fitted)
    assert (table["runs"] == len(asked)).all()
    assert table["mdape_pct"].notna().all()


@pytest.fixture
def shaped():
    """Return (known, new) runs of four kernels on five resources whose speeds multiply."""
    rng = np.random.default_rng(0)
    rows = [
        {"resource_id": f"r{r}", "computation_id": f"f{c}", "runtime_s": (r + 1) * (c + 1) * rng.uniform(0.9, 1.1)}
        for r in range(5)
        for c in range(4)
        for _ in range(2)
    ]
    table = dnaml.load_runs(pd.DataFrame(rows))
    held = rng.random(len(table)) < 0.3
    return table.rows(~held), table.rows(held)


def test_what_cannot_be_compared_is_refused(reports, batch):
    with pytest.raises(InputError, match="got nothing"):
        nb.compare()
    with pytest.raises(InputError, match="all be reports"):
        nb.compare(reports[0], batch)
    with pytest.raises(InputError, match="runs=TABLE"):
        nb.compare({"one": object()})
    lost = pd.DataFrame({"resource_id": ["a"], "computation_id": ["f"], "runtime_s": [1.0], "failed": [True]})
    with pytest.raises(InputError, match="no run tells"):
        nb.compare({"one": object()}, runs=lost)


def test_the_frontier_is_drawn_in_hours_and_usd_and_says_simulated(reports):
    axes = nb.frontier(reports)
    assert axes.get_xlabel() == "mean completion time (hours)"
    assert axes.get_ylabel() == "cost (USD)"
    assert axes.get_title() == "simulated: jobs"
    assert {text.get_text() for text in axes.texts} == {"fifo", "srpt"}
    with pytest.raises(InputError, match="at least one report"):
        nb.frontier([])
