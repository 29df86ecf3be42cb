"""Costs, fit, hazard and the shortlist."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.outcomes import NORMAL, Hazard, costs_usd, fits, lognormal_quantiles, prediction, shortlisted

CHEAP = Resource(id="cheap", price_usd_per_h=0.36, memory_bytes=1000)
QUICK = Resource(id="quick", price_usd_per_h=3.6, startup_s=10.0)
FREE = Resource(id="free")
WORK = Computation(id="f", kernel="f", memory_bytes=2000)


def test_quantiles_of_a_log_normal_are_exact_and_finite():
    values = lognormal_quantiles(np.array([0.0, 1e9]), np.array([1.0, 1e9]))
    assert values[0, LEVELS.index(0.5)] == 1.0
    assert values[0, LEVELS.index(0.9)] == pytest.approx(math.exp(1.2815516))
    assert np.isfinite(values).all()
    assert (values > 0).all()
    np.testing.assert_allclose(NORMAL, -NORMAL[::-1])


def test_cost_is_price_times_runtime_and_start_up_and_unknown_without_a_price():
    costs = costs_usd(np.full((3, 1), 100.0), [CHEAP, QUICK, FREE])
    np.testing.assert_allclose(costs[:, 0], [0.01, 0.11, math.nan])


def test_a_pair_fits_unless_memory_is_known_to_be_short():
    small = Computation(id="g", kernel="g")
    np.testing.assert_array_equal(fits([WORK, small], [CHEAP, FREE]), [[False, True], [True, True]])


def test_hazard_starts_at_its_prior_and_learns_from_losses_alone():
    run = SimpleNamespace(resource=CHEAP, runtime_s=3600.0, failed=False, censored=False)
    lost = SimpleNamespace(resource=CHEAP, runtime_s=3600.0, failed=True, censored=True)
    own = SimpleNamespace(resource=CHEAP, runtime_s=3600.0, failed=True, censored=False)
    hazard = Hazard()
    assert hazard.per_h("cheap") == pytest.approx(0.02)
    assert hazard.updated([run] * 3).per_h("cheap") == pytest.approx(0.02 / 4)
    assert hazard.updated([own, lost]).per_h("cheap") == pytest.approx(1.02 / 3)
    assert hazard.per_h("cheap") == pytest.approx(0.02)


def _answer(seconds, resources):
    values = np.broadcast_to(np.array(seconds)[None, :, None], (1, len(seconds), len(LEVELS))).copy()
    return prediction(runtime_s=values, computations=[WORK], resources=resources, hazard=Hazard(), path="test")


@pytest.mark.parametrize(
    ("preset", "best"), [("min_latency", 1), ("min_cost", 0)], ids=["latency takes the quick", "cost takes the cheap"]
)
def test_a_shortlist_follows_the_objective(preset, best):
    roomy = Resource(id="cheap", price_usd_per_h=0.36)
    order = shortlisted(_answer([20.0, 10.0], [roomy, QUICK]), Objective.of(preset), 2)
    assert order[0] == best
    assert len(order) == 2


def test_a_shortlist_leaves_out_what_cannot_work_and_takes_time_alone_without_prices():
    order = shortlisted(_answer([1.0, 9.0, 3.0], [CHEAP, FREE, Resource(id="other")]), Objective.of("min_cost"), 5)
    assert order.tolist() == [2, 1]
