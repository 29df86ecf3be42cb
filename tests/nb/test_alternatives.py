"""What would have been chosen under other wishes, prices and resources, weighed as the scheduler weighs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dnaml
from dnaml import nb
from dnaml.core.errors import InputError
from dnaml.core.plan import Decision
from dnaml.datasets.traces.read import read

DECISION = Decision(
    job_id="j",
    attempt_id="j.1",
    at_s=0.0,
    policy="matching",
    path="runs",
    chosen="quick",
    resource_ids=("quick", "cheap", "closed"),
    runtime_p10_s=(0.9, 9.0, 0.1),
    runtime_p50_s=(1.0, 10.0, 0.1),
    runtime_p90_s=(1.1, 11.0, 0.1),
    wait_s=(0.0, 0.0, 0.0),
    cost_usd=(1.0, 0.1, 0.0),
    risk=(0.0, 0.0, 0.0),
    score=(1.0, 2.0, float("inf")),
    reasons=("", "", "needs a GPU"),
)


def test_the_objective_decides_and_what_may_not_run_is_never_chosen():
    table = nb.whatif(DECISION).set_index("objective")
    assert table.loc["min_latency", "chosen"] == "quick"
    assert table.loc["min_cost", "chosen"] == "cheap"
    assert table.loc["min_cost", "changed"]
    assert not table.loc["min_latency", "changed"]
    assert table.loc["min_cost", "cost_usd"] == 0.1
    assert table.loc["min_cost", "recorded_p50_s"] == 1.0


def test_another_price_changes_the_choice():
    table = nb.whatif(DECISION, objectives=["min_cost"], prices_usd_per_h={"quick": 1e-3})
    assert table["chosen"][0] == "quick"
    assert table["cost_usd"][0] == pytest.approx(1e-3 / 3600)


def test_a_resource_taken_away_is_not_chosen_and_without_any_there_is_no_choice():
    assert nb.whatif(DECISION, objectives=["min_latency"], without=["quick"])["chosen"][0] == "cheap"
    none = nb.whatif(DECISION, objectives=[{"cost": 1.0}], without=["quick", "cheap"])
    assert none["chosen"][0] is None
    assert np.isnan(none["cost_usd"][0])


def test_a_wait_counts_as_time():
    waiting = replace(DECISION, wait_s=(100.0, 0.0, 0.0))
    assert nb.whatif(waiting, objectives=["min_latency"])["chosen"][0] == "cheap"


def test_recorded_decisions_give_a_row_for_each_job_and_objective(batch):
    table = nb.whatif(batch, objectives=["min_cost", "min_latency"])
    assert len(table) == 2 * len(nb.decisions(batch))
    assert set(table["recorded"]) <= {"plain", "checked"}
    assert set(nb.whatif(batch, without=["plain"])["chosen"]) == {"checked"}


def test_a_predictor_is_asked_about_pairs():
    runs = pd.DataFrame(
        {
            "resource_id": ["a", "b"] * 4,
            "computation_id": ["f", "f", "g", "g"] * 2,
            "runtime_s": [1.0, 9.0, 9.0, 1.0] * 2,
            "price_usd_per_s": [1.0, 0.01] * 4,
        }
    )
    model = dnaml.RuntimePredictor().fit(runs)
    table = nb.whatif(model, runs.iloc[:4], objectives=["min_latency", "min_cost"])
    best = table[table["objective"] == "min_latency"].set_index("computation_id")["chosen"]
    assert dict(best) == {"f": "a", "g": "b"}
    assert set(table[table["objective"] == "min_cost"]["chosen"]) == {"b"}
    with pytest.raises(InputError, match="give a DataFrame"):
        nb.whatif(model)


def test_a_trace_is_simulated_on_other_pools(tmp_path):
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,arrival_s,runtime_s:big\n" + "\n".join(f"j{n},0,10" for n in range(4)))
    table = nb.whatif(read(file), pools=[{}, {"big": 4}], policies=["fifo"])
    assert list(table["makespan_s"]) == [40.0, 10.0]
    assert list(table.index.get_level_values("pools")) == ["big=1", "big=4"]
