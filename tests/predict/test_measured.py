"""The oracle of measured medians and its noisy sister."""

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.measured import TablePredictor
from tests.predict.worlds import world

SIMULATED = world(0)
P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
F, A, B = Computation(id="f", kernel="f"), Resource(id="a"), Resource(id="b")


def runs(*seconds, resource=A, **more):
    return [Run(computation=F, resource=resource, runtime_s=s, at_s=0.0, **more) for s in seconds]


def test_the_answer_is_the_median_of_what_was_measured_at_every_level():
    answer = TablePredictor.from_runs(runs(1.0, 2.0, 9.0)).predict([F], [A])
    np.testing.assert_allclose(answer.runtime_s.values, 2.0)
    assert answer.path == "table"


def test_a_stated_spread_gives_quantiles_around_the_median():
    values = TablePredictor.from_runs(runs(2.0), log_sd=0.1).predict([F], [A]).runtime_s.values[0, 0]
    assert values[P50] == pytest.approx(2.0)
    assert np.log(values[P90] / values[P10]) == pytest.approx(0.2 * 1.2815516)


def test_failed_and_censored_runs_are_left_out():
    table = TablePredictor.from_runs([*runs(2.0), *runs(9.0, failed=True), *runs(9.0, censored=True)])
    assert table.version == "table-1+1"


def test_a_pair_never_measured_is_answered_by_the_fallback_and_says_so():
    table = TablePredictor.from_runs(SIMULATED.runs)
    computation, resource, truth = SIMULATED.pairs(ran=False)[0]
    answer = table.predict([computation], [resource])
    assert answer.path == "table|runs"
    assert np.log(answer.runtime_s.values[0, 0, P50]) == pytest.approx(truth, abs=0.5)


def test_a_noisy_table_errs_by_as_much_as_it_says_and_always_alike():
    pairs = SIMULATED.pairs(ran=True)
    exact, noisy = (TablePredictor.from_runs(SIMULATED.runs, error_log_sd=e, seed=1) for e in (0.0, 0.3))
    computations, resources = list(SIMULATED.computations.values()), SIMULATED.resources
    one, other = (p.predict(computations, resources).runtime_s.values[..., P50] for p in (exact, noisy))
    assert np.std(np.log(other / one)) == pytest.approx(0.3, rel=0.2)
    np.testing.assert_array_equal(other, noisy.predict(computations, resources).runtime_s.values[..., P50])
    assert noisy.version == f"table-1-error0.3-seed1+{3 * len(pairs)}"


def test_an_update_adds_runs_to_a_new_table():
    old = TablePredictor.from_runs(runs(2.0))
    new = old.updated(runs(4.0, 4.0))
    assert old.predict([F], [A]).runtime_s.values[0, 0, P50] == 2.0
    assert new.predict([F], [A]).runtime_s.values[0, 0, P50] == 4.0
    assert old.updated([]) is old


def test_its_shortlist_is_the_true_order():
    table = TablePredictor.from_runs([*runs(3.0), *runs(1.0, resource=B)])
    assert table.shortlist(F, [A, B], Objective.of("min_latency"), 2).tolist() == [1, 0]
