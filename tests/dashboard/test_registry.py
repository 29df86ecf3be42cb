"""The registry as values: versions beside the simple ways, the chart of errors, the data card, the training."""

import json

import pytest

from dnaml.dashboard.insight_reads import RegistryNow
from dnaml.dashboard.registry import (
    beside,
    card,
    figure_rows,
    figures,
    in_use,
    label,
    predicts,
    training_told,
    training_word,
    version_rows,
)
from dnaml.predict.evaluation import Score
from dnaml.predict.model_card import figures_of, metrics_of
from dnaml.tracking import Described


def score(held="resource", probes=0, estimator="dnaml", error=10.0):
    return Score(
        held=held,
        probes=probes,
        estimator=estimator,
        runs=50,
        mape_pct=2 * error,
        mdape_pct=error,
        inside_pct=81.0,
        width=1.0,
        spearman=0.9,
        regret_pct=3.0,
    )


SCORES = [
    score(),
    score(estimator="mean", error=40.0),
    score(estimator="boosting", error=12.0),
    score("cell", error=5.0),
]


def described(version="3", **more):
    values = {
        "name": "dnaml",
        "version": version,
        "run_id": "abc",
        "created_at_s": 1_000.0,
        "aliases": ("good",),
        "params": {
            "data.rows": "1234",
            "data.median_s": "0.5",
            "data.missing_share": "0.25",
            "data.digest": "d1",
            "data.set_aside.no runtime": "4",
            "seed": "0",
        },
        "metrics": metrics_of(SCORES),
        **more,
    }
    return Described(**values)


def texts(row):
    return [cell.text for cell in row.cells]


def test_a_version_stands_beside_the_best_simple_way_on_what_it_never_saw():
    (row,) = version_rows(RegistryNow(versions=[described()]))
    assert texts(row) == ["dnaml 3", "good", "", "1,234", "10.0 %", "12.0 %", "81.0 %"]
    assert (row.cells[2].at_s, row.cells[4].note) == (1_000.0, "ahead")
    behind = described(metrics=metrics_of([score(error=13.0), score(estimator="boosting", error=12.0)]))
    assert version_rows(RegistryNow(versions=[behind]))[0].cells[4].note == "behind"


def test_a_version_that_was_not_judged_has_dashes():
    (row,) = version_rows(RegistryNow(versions=[described(metrics={}, params={}, aliases=())]))
    assert texts(row) == ["dnaml 3", "-", "", "-", "-", "-", "-"]
    assert figure_rows(described(metrics={})) == []
    json.dumps(beside(described(metrics={})), allow_nan=False)


def test_every_figure_is_listed_and_the_own_rows_stand_out():
    found = figure_rows(described())
    assert len(found) == len(SCORES)
    own = [row for row in found if row.strong]
    assert {row.cells[2].text for row in own} == {"dnaml"}
    assert texts(own[-1])[3:] == ["10.0 %", "20.0 %", "81.0 %", "0.900", "3.0 %"]


def test_the_chart_has_a_group_for_each_thing_held_back_and_a_bar_for_each_way():
    found = beside(described())
    assert found["xAxis"]["data"] == ["pair, 0 runs", "resource, 0 runs"]
    assert {one["name"]: one["data"] for one in found["series"]} == {
        "dnaml": [5.0, 10.0],
        "boosting": [None, 12.0],
        "mean": [None, 40.0],
    }
    assert found["series"][0]["name"] == "dnaml"
    json.dumps(found, allow_nan=False)


def test_metrics_by_dotted_names_are_read_back_and_others_left_out():
    found = figures_of({**metrics_of(SCORES), "loss": 1.0, "a.b.c.d": 2.0})
    assert {(one.held, one.probes, one.estimator) for one in found} == {
        (one.held, one.probes, one.estimator) for one in SCORES
    }
    assert found[0].never_seen == "pair"


def test_the_data_card_says_how_to_load_the_version_and_what_it_learned_from():
    found = card(described())
    assert found["load it with"] == 'dnaml.RuntimePredictor.load("models:/dnaml/3")'
    assert found["run in MLflow"].startswith("abc")
    assert (found["runs"], found["median"], found["values missing"]) == ("1,234", "500 ms", "25 %")
    assert (found["digest"], found["set aside"], found["settings"]) == ("d1", "4 because no runtime", "seed=0")
    assert set(card(described(params={}))) == {"load it with", "run in MLflow"}


@pytest.mark.parametrize(
    ("training", "word", "told"),
    [
        (None, "none yet", "Nothing was trained"),
        (
            {"state": "running", "name": "m", "started_at_s": 40.0, "detail": ""},
            "running",
            "m is being trained, for 60 s",
        ),
        (
            {"state": "failed", "name": "m", "started_at_s": 40.0, "detail": "no runs"},
            "failed",
            "begun 60 s ago. no runs",
        ),
    ],
)
def test_the_last_training_is_told(training, word, told):
    assert training_word(training) == word
    assert told in training_told(RegistryNow(training=training, now_s=100.0))


def test_the_figures_say_what_predicts_now():
    now = RegistryNow(versions=[described()], predictor="live-1+79", rung="model", now_s=1_060.0)
    assert list(figures(now).values()) == ["live-1, 79 runs learned", "model", "1", "60 s ago", "none yet"]
    assert figures(RegistryNow())["Newest trained"] == "-"
    assert predicts("table") == "table"
    assert "None of these is in use" in in_use(now)
    assert in_use(RegistryNow(predictor="dnaml-1+4")) == "In use: dnaml-1, 4 runs learned."
    assert label(described()) == "dnaml 3"
