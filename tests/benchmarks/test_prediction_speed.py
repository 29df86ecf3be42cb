"""Rows of speed and ranking: what a version lacks has no value and its reason, and the figures are what they say."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.prediction import banks, growth, ranking, speed
from benchmarks.prediction.ranking import Pool
from dnaml import RuntimePredictor
from dnaml.core.prediction import LEVELS
from dnaml.dna.learned import learn_space


def pool(*, rank=3, resources=300, twist=0.0):
    chance = np.random.default_rng(0)
    logs = chance.normal(size=(20, rank)) @ chance.normal(size=(rank, resources)) + chance.normal(size=resources)
    logs += twist * chance.normal(size=logs.shape)
    spread = np.linspace(-0.2, 0.2, len(LEVELS))
    return Pool(
        catalogue=logs[:16],
        asked=logs[16:],
        quantiles=np.exp(logs[16:, :, None] + spread),
        price_usd_per_h=np.exp(chance.normal(size=resources)),
    )


def judged(one, weights):
    space = learn_space(one.catalogue, price_usd_per_h=one.price_usd_per_h)
    latent = space.resources(one.catalogue)
    loadings = [ranking.loading_of(space, latent, row) for row in one.asked]
    agreed = ranking.agreement(one, latent, loadings, space, weights)
    return agreed, ranking.regret(one, latent, loadings, space, weights)


@pytest.mark.parametrize("weights", ranking.WEIGHTS.values(), ids=ranking.WEIGHTS)
def test_vectors_keep_the_order_of_what_they_can_hold(weights):
    agreed, lost = judged(pool(), weights)
    assert agreed.min() > 0.99
    assert lost.max() < 1e-6


def test_vectors_lose_the_order_of_what_they_cannot_hold():
    agreed, _ = judged(pool(twist=3.0), ranking.WEIGHTS["min latency"])
    assert agreed.mean() < 0.9


def test_a_bank_is_shortlisted_and_its_memory_grows_with_it():
    stock = banks.stocked(400)
    assert banks.shortlisted(stock) == banks.SHORTLIST
    small, large = banks.memory_mb(100), banks.memory_mb(1_000)
    np.testing.assert_allclose(np.array(large) / np.array(small), 10, rtol=0.05)
    assert sum(large) * 100 < 150


def test_the_growth_of_a_search_is_measured_at_every_size():
    assert set(growth.search_s((50, 100))) == {50, 100}


def test_a_row_of_what_this_version_lacks_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "_MODELS", tmp_path)
    row = speed._row("load", "load", "ms", 50, speed.load_ms)
    assert row.value is None
    assert not row.passes
    assert "no model is shipped" in row.note


def test_loading_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch):
    runs = pd.DataFrame({"resource_id": ["a", "b"], "computation_id": "f", "runtime_s": [1.0, 2.0]})
    RuntimePredictor(seed=0).fit(runs).save(tmp_path / "small")
    monkeypatch.setattr(speed, "_MODELS", tmp_path)
    taken_ms, note = speed.load_ms()
    assert 0 < taken_ms < 5_000
    assert "fresh processes" in note


def test_a_shipped_model_that_cannot_be_loaded_is_no_measurement(tmp_path, monkeypatch):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{}")
    monkeypatch.setattr(speed, "_MODELS", tmp_path)
    with pytest.raises(LookupError, match="broken"):
        speed.load_ms()


def test_the_median_leaves_the_first_time_out():
    done = []
    assert speed.median_ms(lambda: done.append(1), 5) >= 0
    assert len(done) == 6
