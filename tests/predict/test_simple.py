"""The simple predictors stand where they should: each knows what its name says, and learns from probes."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.datasets.table import RunTable
from dnaml.predict.simple import Simple, SimplePredictor

SPEEDS, WORK = (1.0, 2.0, 4.0, 8.0), (1.0, 3.0, 10.0, 30.0, 100.0)


def runs(resources=range(4), computations=range(5), **extra):
    rows = [
        {"resource_id": f"r{r}", "computation_id": f"c{c}", "runtime_s": WORK[c] / SPEEDS[r], "r_rate_per_s": SPEEDS[r]}
        | extra
        for r in resources
        for c in computations
        for _ in range(3)
    ]
    return RunTable.from_frame(pd.DataFrame(rows))


def median(model, table):
    return model.predict_quantiles(table.frame, levels=(0.1, 0.5, 0.9))[0.5].to_numpy()


@pytest.mark.parametrize("way", Simple)
def test_quantiles_are_positive_finite_and_rise(way):
    values = SimplePredictor(way).fit(runs()).predict_quantiles(runs().frame, levels=(0.1, 0.5, 0.9)).to_numpy()
    assert np.isfinite(values).all()
    assert (values > 0).all()
    assert (np.diff(values, axis=1) > 0).all()


def test_the_mean_does_not_know_resources():
    values = median(SimplePredictor(Simple.MEAN).fit(runs()), runs())
    by = pd.Series(values).groupby(runs().frame["computation_id"])
    np.testing.assert_allclose(by.max(), by.min())


@pytest.mark.parametrize("way", [Simple.SCALING, Simple.NEIGHBOURS, Simple.BOOSTING])
def test_the_others_know_how_fast_a_resource_is(way):
    frame = runs().frame
    values = median(SimplePredictor(way).fit(runs()), runs())
    assert np.abs(values / frame["runtime_s"] - 1).median() < 0.1


@pytest.mark.parametrize("way", [Simple.SCALING, Simple.NEIGHBOURS, Simple.BOOSTING])
def test_probes_teach_a_new_resource(way):
    model = SimplePredictor(way).fit(runs(resources=range(3)))
    asked = runs(resources=[3], computations=[3, 4])
    strange = asked.frame.drop(columns="r_rate_per_s")
    table = RunTable.from_frame(strange)
    probes = RunTable.from_frame(runs(resources=[3], computations=[0, 1, 2]).frame.drop(columns="r_rate_per_s"))
    before = np.abs(np.log(median(model, table) / strange["runtime_s"])).mean()
    after = np.abs(np.log(median(model.update(probes), table) / strange["runtime_s"])).mean()
    assert after < before / 2
    np.testing.assert_allclose(np.abs(np.log(median(model, table) / strange["runtime_s"])).mean(), before)


def test_runs_that_failed_or_were_cut_short_teach_nothing():
    good, bad = runs(), runs(failed=True)
    bad.frame["runtime_s"] *= 1000
    both = RunTable.from_frame(pd.concat([good.frame, bad.frame], ignore_index=True))
    np.testing.assert_allclose(
        median(SimplePredictor(Simple.SCALING).fit(both), good), median(SimplePredictor(Simple.SCALING).fit(good), good)
    )
    with pytest.raises(InputError, match="got none"):
        SimplePredictor(Simple.MEAN).fit(bad)


def test_one_run_is_enough():
    one = RunTable.from_frame(runs().frame.iloc[:1])
    for way in Simple:
        assert median(SimplePredictor(way).fit(one), one)[0] == pytest.approx(1.0, rel=0.5)


def test_asking_before_fitting_is_an_error():
    with pytest.raises(InputError, match="must be fitted"):
        SimplePredictor(Simple.MEAN).predict_quantiles(runs().frame, levels=(0.5,))
