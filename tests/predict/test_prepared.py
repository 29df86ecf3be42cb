"""A prepared pool answers exactly what the predictor says, one resource at a time or hundreds in a pass."""

import numpy as np
import pandas as pd
import pytest

from dnaml.core.errors import InputError
from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, Kind, Resource
from dnaml.predict.paired import latent, stacked
from dnaml.predict.prepared import Pool
from dnaml.predict.runtime import RuntimePredictor

RESOURCES, COMPUTATIONS = 8, 7
SLOW = np.linspace(0.5, 3.0, RESOURCES)


def runs():
    rng = np.random.default_rng(0)
    rows = [
        {
            "resource_id": f"r{r}",
            "computation_id": f"c{c}",
            "runtime_s": float((1 + c) * SLOW[r] * np.exp(0.2 * np.sin(r * c) + rng.normal(0, 0.03))),
            "r_slow": SLOW[r],
            "r_kind": "gpu" if r % 2 else "cpu",
            "c_work": 1.0 + c,
        }
        for r in range(RESOURCES)
        for c in range(COMPUTATIONS)
    ]
    return pd.DataFrame(rows)


DESCRIBED = pd.DataFrame(
    {"resource_id": [f"new{n}" for n in range(20)], "r_slow": np.linspace(0.3, 9.0, 20), "r_kind": ["cpu", "tpu"] * 10}
)
KNOWN = pd.DataFrame({"computation_id": ["c3"], "c_work": [4.0]})


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latent, "STARTS", 2)
        patch.setattr(stacked, "FEWEST_STEPS", 16)
        patch.setattr(stacked, "MOST_STEPS", 16)
        yield RuntimePredictor(seed=0).fit(runs())


def told(model, resources, computation):
    pairs = resources.assign(**{name: computation[name].iloc[0] for name in computation})
    return model.predict_quantiles(pairs, levels=LEVELS).to_numpy()


def test_new_resources_are_answered_in_one_pass_exactly_as_the_predictor_does(model):
    pool = Pool.of(model.learned, DESCRIBED)
    asked = pool.asked(KNOWN)
    assert pool.covered.all()
    np.testing.assert_allclose(pool.quantiles(asked, np.arange(20)), told(model, DESCRIBED, KNOWN), rtol=1e-9)
    some = np.array([7, 2, 11])
    np.testing.assert_allclose(pool.quantiles(asked, some), told(model, DESCRIBED, KNOWN)[some], rtol=1e-9)


def test_resources_that_ran_and_those_that_training_held_are_answered_by_the_predictor_itself(model):
    probes = pd.DataFrame({"resource_id": "new1", "computation_id": ["c0", "c1"], "runtime_s": [9.0, 20.0]})
    warm = model.update(probes.assign(r_slow=DESCRIBED["r_slow"].iloc[1], r_kind="tpu"))
    known = pd.concat([DESCRIBED, runs()[["resource_id", "r_slow", "r_kind"]].iloc[[0]]], ignore_index=True)
    pool = Pool.of(warm.learned, known)
    assert np.flatnonzero(~pool.covered).tolist() == [1, 20]
    places = np.array([0, 1, 20, 5])
    found = pool.quantiles(pool.asked(KNOWN), places)
    np.testing.assert_allclose(found, told(warm, known, KNOWN)[places], rtol=1e-9)


def test_a_computation_never_seen_is_asked_in_full(model):
    new = pd.DataFrame({"computation_id": ["other"], "c_work": [2.5]})
    pool = Pool.of(model.learned, DESCRIBED.iloc[:3])
    found = pool.quantiles(pool.asked(new), np.arange(3))
    np.testing.assert_allclose(found, told(model, DESCRIBED.iloc[:3], new), rtol=1e-9)
    with pytest.raises(InputError, match="must be one row"):
        pool.asked(pd.concat([new, new]))


def test_a_computation_with_runs_since_the_fit_answers_for_resources_that_never_ran(model):
    probes = pd.DataFrame({"computation_id": "other", "resource_id": ["r0", "r5"], "runtime_s": [4.0, 9.0]})
    slow = {"r0": SLOW[0], "r5": SLOW[5]}
    warm = model.update(probes.assign(r_slow=[slow["r0"], slow["r5"]], c_work=2.5))
    new = pd.DataFrame({"computation_id": ["other"], "c_work": [2.5]})
    known = pd.concat([DESCRIBED, runs()[["resource_id", "r_slow", "r_kind"]].iloc[[0]]], ignore_index=True)
    pool = Pool.of(warm.learned, known)
    asked = pool.asked(new)
    assert asked.question is None
    for places in (np.array([3]), np.arange(21), np.array([20, 3])):  # answers are kept, and stay
        np.testing.assert_allclose(pool.quantiles(asked, places), told(warm, known, new)[places], rtol=1e-9)


def test_core_values_are_answered_as_rows_are(model):
    resources = [Resource(id=f"new{n}", kind=Kind.CPU, spec={"slow": 0.5 + n}) for n in range(4)]
    work = Computation(id="c3", kernel="k", demand={"work": 4.0})
    rows = pd.DataFrame({"resource_id": [r.id for r in resources], "r_slow": [0.5, 1.5, 2.5, 3.5], "r_kind": "cpu"})
    np.testing.assert_allclose(model.asked_by(resources)(work), told(model, rows, KNOWN), rtol=1e-9)
    assert model.pair_quantiles([work, work], resources).shape == (2, 4, len(LEVELS))
    assert model.pair_quantiles([], resources).shape == (0, 4, len(LEVELS))
    assert model.asked_by([])(work).shape == (0, len(LEVELS))


def test_a_predictor_that_learned_nothing_answers_core_values_all_the_same():
    small = RuntimePredictor(seed=0).fit(runs().iloc[:2])
    assert small.learned is None
    found = small.asked_by([Resource(id="new", kind=Kind.CPU)])(Computation(id="c9", kernel="k"))
    assert (found > 0).all()
