"""What every predictor keeps: shapes, finite positive quantiles that rise, equal answers, and an update that is new."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnaml.core.prediction import LEVELS
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.datasets.table import RunTable
from dnaml.predict.guarded import Guarded
from dnaml.predict.measured import TablePredictor
from dnaml.predict.placing import LivePredictor
from dnaml.predict.runtime import RuntimePredictor
from tests.predict.brief import brief_trainings
from tests.predict.worlds import world

SIMULATED = world(7, kernels=6, repeats=2)


@cache
def small():
    with brief_trainings():
        return RuntimePredictor(seed=0).fit(RunTable.from_runs(SIMULATED.runs))


def empty():
    return RuntimePredictor().fit(pd.DataFrame(columns=["resource_id", "computation_id", "runtime_s"]))


PREDICTORS = {
    "live without runs": lambda: LivePredictor(),
    "live with a few runs": lambda: LivePredictor().updated(SIMULATED.runs[:5]),
    "live with runs": lambda: LivePredictor().updated(SIMULATED.runs),
    "live with a model": lambda: LivePredictor(model=small()),
    "live with a model and runs": lambda: LivePredictor(model=small()).updated(SIMULATED.runs[:30]),
    "live with an empty model": lambda: LivePredictor(model=empty()),
    "guarded": lambda: Guarded.of(LivePredictor()).updated(SIMULATED.runs),
    "table": lambda: TablePredictor.from_runs(SIMULATED.runs),
    "table with an error": lambda: TablePredictor.from_runs(SIMULATED.runs, log_sd=0.1, error_log_sd=0.3, seed=3),
}


@cache
def made(name):
    """Make a predictor when its first test asks for it: every process collects this file, one runs its tests."""
    return PREDICTORS[name]()


SIZES = st.dictionaries(st.sampled_from(["n", "m"]), st.floats(-1e6, 1e12), max_size=2)
COMPUTATIONS = st.lists(
    st.one_of(
        st.sampled_from(list(SIMULATED.computations.values())),
        st.builds(
            Computation,
            id=st.sampled_from(["k0-s0", "new", "other"]),
            kernel=st.sampled_from(["k0", "k1", "new"]),
            size=SIZES,
            demand=st.dictionaries(st.sampled_from(["fp64_flop", "working_set_bytes"]), st.floats(0, 1e15), max_size=2),
            memory_bytes=st.one_of(st.none(), st.integers(0, 2**40)),
        ),
    ),
    max_size=5,
)
RESOURCES = st.lists(
    st.one_of(
        st.sampled_from(SIMULATED.resources),
        st.builds(
            Resource,
            id=st.sampled_from(["r0", "new", "other"]),
            price_usd_per_h=st.one_of(st.none(), st.floats(0, 1e6)),
            startup_s=st.one_of(st.none(), st.floats(0, 1e4)),
            spec=st.dictionaries(st.sampled_from(["fp64_flop_per_s", "cores"]), st.floats(1e-3, 1e18), max_size=2),
        ),
    ),
    min_size=1,
    max_size=4,
)
SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def seconds(answer):
    return answer.runtime_s.values


@pytest.mark.parametrize("name", PREDICTORS)
@SETTINGS
@given(computations=COMPUTATIONS, resources=RESOURCES)
def test_an_answer_has_the_right_shape_and_is_finite_positive_and_rising(name, computations, resources):
    answer = made(name).predict(computations, resources)
    shape = (len(computations), len(resources))
    assert seconds(answer).shape == answer.cost_usd.values.shape == (*shape, len(LEVELS))
    assert np.isfinite(seconds(answer)).all()
    assert (seconds(answer) > 0).all()
    assert (np.diff(seconds(answer), axis=-1) >= 0).all()
    assert answer.feasible.shape == shape
    assert answer.hazard_per_h.shape == (len(resources),)
    assert (answer.hazard_per_h >= 0).all()
    assert answer.path
    priced = np.array([r.price_usd_per_h is not None for r in resources])
    assert (np.isfinite(answer.cost_usd.values).all(axis=2) == priced[None, :]).all()


@pytest.mark.parametrize("name", PREDICTORS)
@SETTINGS
@given(computations=COMPUTATIONS, resources=RESOURCES)
def test_asked_twice_or_one_pair_at_a_time_the_answer_is_the_same(name, computations, resources):
    predictor = made(name)
    whole = seconds(predictor.predict(computations, resources))
    np.testing.assert_array_equal(whole, seconds(predictor.predict(computations, resources)))
    for c, computation in enumerate(computations):
        for r, resource in enumerate(resources):
            np.testing.assert_allclose(
                seconds(predictor.predict([computation], [resource]))[0, 0], whole[c, r], rtol=1e-6
            )


@pytest.mark.parametrize("name", PREDICTORS)
@SETTINGS
@given(data=st.data(), runtimes=st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=6))
def test_an_update_is_a_new_predictor_and_the_old_one_stays(name, data, runtimes):
    predictor = made(name)
    computation = data.draw(st.sampled_from(list(SIMULATED.computations.values())))
    resource = data.draw(st.sampled_from(SIMULATED.resources))
    before = seconds(predictor.predict([computation], [resource])).copy()
    version = predictor.version
    runs = [Run(computation=computation, resource=resource, runtime_s=s, at_s=0.0) for s in runtimes]
    runs.append(Run(computation=computation, resource=resource, runtime_s=float("nan"), at_s=0.0, failed=True))
    later = predictor.updated(runs)
    assert later is not predictor
    assert (later.version, predictor.version) != (version, later.version)
    assert np.isfinite(seconds(later.predict([computation], [resource]))).all()
    np.testing.assert_array_equal(seconds(predictor.predict([computation], [resource])), before)


@pytest.mark.parametrize("name", PREDICTORS)
@SETTINGS
@given(computations=COMPUTATIONS.filter(bool), resources=RESOURCES, k=st.integers(1, 6))
def test_a_shortlist_holds_distinct_feasible_resources_and_no_more_than_asked(name, computations, resources, k):
    predictor, computation = made(name), computations[0]
    chosen = predictor.shortlist(computation, resources, Objective(), k).tolist()
    feasible = predictor.predict([computation], resources).feasible[0]
    assert len(chosen) == len(set(chosen)) == min(k, int(feasible.sum()))
    assert all(feasible[index] for index in chosen)
