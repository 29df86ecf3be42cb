"""A recipe leaves columns out and adds copies before a fit, and its model is asked about what it knows."""

import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.datasets.table import RunTable
from dnaml.predict.recipe import Recipe, asked_of, contenders
from dnaml.predict.simple import Simple


def table(**extra):
    rows = [
        {
            "resource_id": f"r{r}",
            "computation_id": f"c{c}",
            "r_rate_per_s": 1.0 + r,
            "t_x": 1.0,
            "runtime_s": (1 + c) / (1 + r),
        }
        | extra
        for r in range(3)
        for c in range(3)
    ]
    return RunTable.from_frame(pd.DataFrame(rows))


def test_columns_are_left_out_by_pattern_and_copies_added():
    prepared = Recipe(drop=("t_*",), copies=1).prepared(table()).frame
    assert "t_x" not in prepared
    assert "r_rate_per_s" in prepared
    assert len(prepared) == 18


def test_a_plain_recipe_changes_nothing():
    pd.testing.assert_frame_equal(Recipe().prepared(table()).frame, table().frame)


def test_a_fit_takes_the_seed_and_only_what_is_left():
    model = Recipe(seed=5, drop=("r_*",)).fit(table())
    assert model.seed == 5
    pairs = pd.DataFrame(
        [{"resource_id": "new", "computation_id": "c1", "r_rate_per_s": rate} for rate in (1.0, 100.0)]
    )
    first, second = model.predict(pairs)["runtime_s"]
    assert first == pytest.approx(second)


def test_the_contenders_are_the_predictor_and_the_simple_ones():
    assert list(contenders(Recipe(), simple=(Simple.MEAN,))) == ["dnaml", "mean"]
    assert set(contenders(Recipe())) == {"dnaml", *(way.value for way in Simple)}


def test_a_model_is_asked_about_every_run_by_what_answered():
    model = Recipe().fit(table())
    found = asked_of(model, table())
    assert sum(one.runs for one in found) == 9
    assert {one.held for one in found} == set(model.predict(table().frame)["path"])


def test_runs_that_tell_nothing_cannot_be_asked_about():
    with pytest.raises(InputError, match="no run tells a runtime"):
        asked_of(Recipe().fit(table()), table(failed=True))
