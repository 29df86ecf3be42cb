"""Documents of a training: card, scores and pictures, of the predictor's own answers without probes."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dnaml import tracking
from dnaml.core.dna import DNA_LENGTH
from dnaml.core.prediction import LEVELS
from dnaml.datasets.data_card import card_of
from dnaml.datasets.table import RunTable
from dnaml.predict.evaluation import Answers, Held, scores
from dnaml.predict.logged import Trained, documents, log, series
from dnaml.predict.model_card import Facts, metrics_of, score_cells, written

TRUTH = np.array([1.0, 2.0, 4.0])
ANSWERS = Answers(
    estimator="dnaml",
    held=Held.RESOURCE,
    probes=0,
    truth_s=TRUTH,
    values_s=TRUTH[:, None] * np.linspace(0.7, 1.3, len(LEVELS)),
    computation=np.array(["f", "f", "g"]),
)
MADE = [ANSWERS, replace(ANSWERS, probes=3), replace(ANSWERS, estimator="mean"), replace(ANSWERS, held=Held.CELL)]


class WithDna:
    """Offers the DNA of resources, as the predictor does once it has learned any."""

    def resource_dna(self, name):
        rng = np.random.default_rng(len(name))
        return type("Dna", (), {"vector": rng.random(DNA_LENGTH).astype(np.float32)})


@pytest.fixture
def trained(tmp_path):
    table = RunTable.from_frame(pd.DataFrame({"resource_id": ["a"], "computation_id": ["f"], "runtime_s": [1.0]}))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return Trained(
        model=WithDna(),
        folder=folder,
        data=card_of(table),
        answers=MADE,
        scores=scores(MADE),
        resource_ids=["a", "bb", "ccc"],
    )


def test_every_document_is_written_and_named(trained, tmp_path):
    files = documents(trained, tmp_path / "documents")
    assert set(files) == {"data_card.json", "scores.json", "calibration.svg", "scatter.svg", "dna_map.svg"}
    assert json.loads(files["data_card.json"].read_text())["rows"] == 1
    assert len(json.loads(files["scores.json"].read_text())) == 4


def test_without_answers_or_dna_there_are_no_pictures(trained, tmp_path):
    bare = replace(trained, model=object(), answers=[], scores=[])
    assert set(documents(bare, tmp_path / "documents")) == {"data_card.json", "scores.json"}
    assert "dna_map.svg" not in documents(replace(trained, resource_ids=["a", "b"]), tmp_path / "two")


def test_pictures_show_the_predictors_own_answers_without_probes():
    assert {label: len(parts) for label, parts in series(MADE).items()} == {"new resource": 1, "new cell": 1}


def test_a_training_is_logged_with_its_documents(trained, tmp_path):
    store = tracking.Store(uri=f"sqlite:///{tmp_path / 'mlflow.sqlite'}", artifacts=tmp_path / "artifacts")
    kept = log(trained, name="small", params={"seed": 0}, store=store)
    assert kept.address == "models:/small/1"
    run = tmp_path / "artifacts" / kept.run_id / "artifacts"
    assert (run / "dna_map.svg").is_file()
    assert (run / "model" / "manifest.json").is_file()


def test_a_card_states_figures_limits_and_origin(trained):
    facts = Facts(
        name="small",
        purpose="It predicts.",
        command="make train",
        day="2026-01-02",
        commit="abc",
        licence="Apache-2.0",
        data="Runs.",
        limits=("One machine.",),
    )
    card = written(facts, trained.data, trained.scores)
    for said in ("# small", "`make train` on 2026-01-02, commit abc", "- One machine.", "| resource | 3 | dnaml | 3 |"):
        assert said in card


def test_metrics_leave_out_what_is_not_known(trained):
    one = replace(trained.scores[0], regret_pct=float("nan"))
    found = metrics_of([one])
    assert "resource.k0.dnaml.regret_pct" not in found
    assert found["resource.k0.dnaml.inside_pct"] == 100.0
    assert score_cells(one)[:4] == ("resource", "0", "dnaml", "3")
