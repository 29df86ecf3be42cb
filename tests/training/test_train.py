"""The scripts train, judge, save and log on a tiny table; what they write can be used at once."""

import json

import numpy as np
import pandas as pd
import pytest

from dnaml import tracking
from dnaml.predict.runtime import RuntimePredictor
from tests.predict.brief import brief_trainings
from training import evaluate, train

pytestmark = pytest.mark.timeout(600)  # many fits: seconds alone, minutes on a busy machine


@pytest.fixture(autouse=True, scope="module")
def brief():
    """What is asked of the scripts is what they write, not how good the model is."""
    with brief_trainings():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder with a run table of eight resources and six computations."""
    folder = tmp_path_factory.mktemp("scripts")
    rng = np.random.default_rng(0)
    rows = [
        {
            "resource_id": f"r{r}",
            "computation_id": f"k{k}",
            "c_kernel": f"k{k // 2}",
            "r_rate_per_s": 1.0 + r,
            "r_rate_per_s_spread": rng.random(),
            "s_size": 1.0 + k % 2,
            "runtime_s": (1 + k // 2) * (1 + k % 2) / (1.0 + r) * float(np.exp(0.05 * rng.standard_normal())),
        }
        for r in range(8)
        for k in range(6)
    ]
    pd.DataFrame(rows).to_csv(folder / "runs.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    """Train once, with copies, into a registry of its own."""
    config = train.Config(
        table=str(folder / "runs.csv"),
        out=str(folder / "model"),
        drop=("*_spread",),
        copies=1,
        held=("resource",),
        probes=(0, 2),
        folds=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DNAML_STATE", str(folder / "state"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert train.main(config) == 0
    return folder / "model"


def test_the_model_is_saved_with_a_card_that_states_its_figures(trained):
    card = (trained / "CARD.md").read_text()
    assert "| runs | 48 of 48 pairs; 0 failed, 0 censored |" in card
    for who in ("dnaml", "mean", "scaling", "neighbours", "boosting"):
        assert f"| resource | 0 | {who} | 24 |" in card or f"| resource | 0 | {who} | 32 |" in card
    assert "shown 1 times as a machine that is up to 4 times faster or slower throughout" in card
    pairs = pd.DataFrame([{"resource_id": "new", "computation_id": "k1", "c_kernel": "k0", "r_rate_per_s": 3.0}])
    assert RuntimePredictor.load(trained).predict(pairs)["runtime_s"].iloc[0] > 0


def test_the_model_is_registered_under_its_alias_with_params_and_metrics(trained, folder):
    from mlflow.tracking import MlflowClient

    store = tracking.store_of(folder / "state")
    kept = tracking.model_folder("models:/dnaml/current", store=store)
    assert (kept / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()
    client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    run = client.get_run(client.get_model_version("dnaml", "1").run_id)
    assert run.data.params["copies"] == "1"
    assert run.data.params["data.rows"] == "48"
    assert {"resource.k0.dnaml.mape_pct", "resource.k2.boosting.inside_pct"} <= set(run.data.metrics)
    assert run.data.tags["commit"]


def test_an_evaluation_gives_means_over_seeds_with_their_spread_and_plots(folder):
    out = folder / "evaluation"
    config = evaluate.Config(
        table=str(folder / "runs.csv"), out=str(out), held=("resource", "later"), probes=(0,), folds=2, seeds=(0, 1)
    )
    assert evaluate.main(config) == 0
    found = json.loads((out / "scores.json").read_text())
    assert {one["estimator"] for one in found} == {"dnaml", "mean", "scaling", "neighbours", "boosting"}
    assert {one["runs"] for one in found} == {96}
    text = (out / "scores.md").read_text()
    assert "MAPE % over seeds" in text
    assert "seeds (0, 1)" in text
    for name in ("calibration.svg", "scatter.svg"):
        assert (out / name).read_text().rstrip().endswith("</svg>")


def test_a_saved_model_is_evaluated_as_it_is(folder, trained):
    out = folder / "asked"
    assert evaluate.main(evaluate.Config(table=str(folder / "runs.csv"), model=str(trained), out=str(out))) == 0
    found = json.loads((out / "scores.json").read_text())
    assert sum(one["runs"] for one in found) == 48
    assert {one["estimator"] for one in found} == {"dnaml"}
