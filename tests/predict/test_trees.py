"""Trees walked by numpy against scikit-learn's own answer."""

import numpy as np
import pytest

from dnaml.predict.trees import ROWS_AT_ONCE, boost


@pytest.mark.parametrize("seed", [0, 1])
def test_the_walk_gives_what_scikit_learn_gives_missing_values_included(seed, monkeypatch):
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(seed)
    features = rng.normal(size=(600, 5))
    features[rng.random(features.shape) < 0.1] = np.nan
    target = np.nan_to_num(features[:, 0]) * 2 + np.sin(3 * np.nan_to_num(features[:, 1]))
    fitted = []
    original = HistGradientBoostingRegressor.fit
    monkeypatch.setattr(
        HistGradientBoostingRegressor, "fit", lambda self, *args: fitted.append(original(self, *args)) or fitted[-1]
    )
    trees = boost(features, target, seed=seed)
    asked = rng.normal(size=(ROWS_AT_ONCE + 10, 5))
    asked[rng.random(asked.shape) < 0.1] = np.nan
    np.testing.assert_allclose(trees.predict(asked), fitted[0].predict(asked), atol=1e-9)
    assert np.mean((trees.predict(features) - target) ** 2) < 0.2 * target.var()


def test_no_rows_give_no_answers_and_few_rows_a_small_tree():
    trees = boost(np.arange(6.0)[:, None], np.array([0.0, 0, 0, 1, 1, 1]))
    assert trees.predict(np.empty((0, 1))).shape == (0,)
    low, high = trees.predict(np.array([[0.0], [5.0]]))
    assert low < 0.3 < 0.7 < high
