"""A model that is fitted while tracking is on is an MLflow run, with what it learned from and its folder."""

from pathlib import Path

import pandas as pd
import pytest

import dnaml
from dnaml import tracking
from dnaml.predict.fitted import LISTENERS

RUNS = pd.DataFrame(
    {"resource_id": ["a", "b"] * 4, "computation_id": [f"c{n // 2}" for n in range(8)], "runtime_s": [1.0, 2.0] * 4}
)


@pytest.fixture
def tracked():
    yield dnaml.autolog
    dnaml.autolog(disable=True)


@pytest.mark.slow
def test_a_fit_leaves_its_data_card_time_and_model(tmp_path: Path, tracked):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.sqlite'}"
    tracked(uri)
    tracked(uri)  # a second call does not track twice
    model = dnaml.RuntimePredictor(seed=3).fit(RUNS)
    client = MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id])
    assert (run.data.tags["dnaml.kind"], run.info.status) == ("training", "FINISHED")
    assert (run.data.params["seed"], run.data.params["data.rows"]) == ("3", "8")
    assert run.data.metrics["fit_s"] > 0
    loaded = dnaml.RuntimePredictor.load(Path(client.download_artifacts(run.info.run_id, "model")))
    pd.testing.assert_frame_equal(loaded.predict(RUNS), model.predict(RUNS))
    assert not client.search_registered_models()


def test_a_store_that_refuses_costs_a_line_and_not_the_fit(tmp_path: Path, tracked, caplog):
    (tmp_path / "file").write_text("")
    tracked(f"sqlite:///{tmp_path / 'file' / 'mlflow.sqlite'}")
    dnaml.RuntimePredictor().fit(RUNS)
    assert "a training was not tracked" in caplog.text


def test_nobody_listens_once_tracking_is_off(tracked):
    before = len(LISTENERS)
    tracked()
    assert len(LISTENERS) == before + 1
    dnaml.autolog(disable=True)
    assert len(LISTENERS) == before
