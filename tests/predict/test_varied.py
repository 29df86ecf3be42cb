"""A part of a fitted predictor changed: the experts that are left answer, the predictor itself stays as it was."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.predict.paired import episodes
from dnaml.predict.runtime import RuntimePredictor
from dnaml.predict.varied import alone, equal_weights, plain_gaussian, unlearned_weights, varied, without

RUNS = pd.DataFrame(
    {
        "resource_id": [f"r{r}" for r in range(5) for _ in range(6)],
        "computation_id": [f"c{c}" for _ in range(5) for c in range(6)],
        "runtime_s": [(1.0 + c) * (1.0 + 0.5 * r) * (1.0 + 0.1 * (r * c % 3)) for r in range(5) for c in range(6)],
        "r_slow": [1.0 + 0.5 * r for r in range(5) for _ in range(6)],
        "c_work": [1.0 + c for _ in range(5) for c in range(6)],
    }
)
PAIRS = pd.DataFrame({"resource_id": "new", "computation_id": ["c0", "c3"], "r_slow": 2.2})


@pytest.fixture(scope="module")
def fitted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(episodes, "FEWEST_ENTITIES", 10**9)
        yield RuntimePredictor(seed=0).fit(RUNS)


def test_a_silenced_expert_has_no_weight_and_the_predictor_itself_stays(fitted):
    before = fitted.predict(PAIRS)
    changed = varied(fitted, without("rows"))
    assert {share["rows"] for share in changed.weights.values()} == {0.0}
    assert min(share["rows"] for share in fitted.weights.values()) > 0
    pd.testing.assert_frame_equal(fitted.predict(PAIRS), before)
    assert np.isfinite(changed.predict(PAIRS)["runtime_s"]).all()


def test_an_expert_alone_has_all_the_weight_and_one_that_is_not_there_changes_nothing(fitted):
    assert {share["similarity"] for share in varied(fitted, alone("similarity")).weights.values()} == {1.0}
    assert varied(fitted, alone("nobody")).weights == fitted.weights


def test_weights_are_alike_or_as_before_any_replay(fitted):
    for shares in varied(fitted, equal_weights).weights.values():
        np.testing.assert_allclose(list(shares.values()), 1 / len(shares))
    for shares in varied(fitted, unlearned_weights).weights.values():
        assert shares["rows"] == max(shares.values())


def test_uncalibrated_intervals_lie_around_the_same_medians(fitted):
    plain = varied(fitted, plain_gaussian).predict(PAIRS)
    np.testing.assert_allclose(plain["runtime_s"], fitted.predict(PAIRS)["runtime_s"])
    assert (plain["runtime_s_p10"] < plain["runtime_s"]).all()
    assert (plain["runtime_s_p90"] > plain["runtime_s"]).all()


def test_a_predictor_without_a_learned_model_has_no_part_to_change():
    with pytest.raises(InputError, match="needs a learned one"):
        varied(RuntimePredictor().fit(RUNS.iloc[:2]), equal_weights)
