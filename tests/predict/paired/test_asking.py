"""Candidates for the next probe: a joint Gaussian over pairs, and the best value measured so far."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.predict.paired.asking import candidates
from dnaml.predict.probing import Goal
from tests.predict.paired.grids import FRAME, PAIRS, frame, learned

HIDDEN = frame(5, 5)
NEW = HIDDEN[HIDDEN["resource_id"] == "r4"].reset_index(drop=True)
ASKED = NEW.drop(columns="runtime_s")
NONE = np.full(5, np.nan)


def test_a_model_is_needed():
    with pytest.raises(InputError, match="needs a learned model"):
        candidates(None, PAIRS, np.zeros(len(PAIRS)), {}, Goal.LEARN)


def test_pairs_of_one_new_resource_hang_together_and_agree_with_predictions():
    found, best = candidates(learned(), ASKED, NONE, {}, Goal.FASTEST)
    assert best is None
    assert found.price_usd_per_s is None
    np.testing.assert_allclose(found.mean, learned().log_quantiles(ASKED)[0][:, 3], atol=1e-6)
    assert (found.covariance[0, 1:] > 0).all()
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-9
    assert (found.noise >= learned().repeat_sd ** 2).all()


def test_a_probe_leaves_less_to_learn():
    before, _ = candidates(learned(), ASKED, NONE, {}, Goal.LEARN)
    after, _ = candidates(learned().updated(NEW.iloc[:2]), ASKED, NONE, {}, Goal.LEARN)
    assert after.sd() < before.sd()


def test_the_best_value_is_that_of_runs_since_of_the_same_entity():
    warm = learned().updated(pd.concat([NEW.iloc[:2], FRAME.iloc[:1].assign(runtime_s=1e-6)]))
    _, best_s = candidates(warm, ASKED, NONE, {}, Goal.FASTEST)
    assert best_s == pytest.approx(NEW["runtime_s"].iloc[:2].min())
    _, best_usd = candidates(warm, ASKED, NONE + 1, {"r4": 0.5}, Goal.CHEAPEST)
    assert best_usd == pytest.approx(0.5 * best_s)
    assert candidates(warm, ASKED, NONE, {}, Goal.CHEAPEST)[1] is None


def test_prices_are_passed_on_where_one_is_known():
    price = np.array([np.nan, 2.0, np.nan, np.nan, np.nan])
    found, _ = candidates(learned(), ASKED, price, {}, Goal.LEARN)
    np.testing.assert_array_equal(found.price_usd_per_s, price)


def test_every_pair_is_a_candidate_once_whoever_answers():
    asked = pd.DataFrame({"resource_id": ["r0", "new", "r0", "new"], "computation_id": ["c0", "c1", "fresh", "fresh"]})
    found, _ = candidates(learned(), asked, np.full(4, np.nan), {}, Goal.LEARN)
    assert (np.diag(found.covariance) > 0).all()
    assert np.isfinite(found.mean).all()
    assert found.covariance[0, 2] == 0  # another entity: nothing is known of how they hang together


def test_no_pairs_are_no_candidates():
    found, best = candidates(learned(), PAIRS.iloc[:0], np.zeros(0), {}, Goal.LEARN)
    assert len(found.mean) == 0
    assert best is None


def test_the_best_value_of_an_entity_that_training_held_is_that_of_its_training_runs():
    ran = FRAME[FRAME["computation_id"] == "c0"]
    asked = ran.drop(columns="runtime_s")
    prices = {name: 1.0 + place for place, name in enumerate(sorted(ran["resource_id"]))}
    _, best_s = candidates(learned(), asked, np.full(len(asked), np.nan), {}, Goal.FASTEST)
    assert best_s == pytest.approx(ran["runtime_s"].min())
    _, best_usd = candidates(learned(), asked, np.full(len(asked), np.nan), prices, Goal.CHEAPEST)
    assert best_usd == pytest.approx((ran["runtime_s"] * ran["resource_id"].map(prices)).min())
