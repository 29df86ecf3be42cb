"""The live predictor: fallback, learning, models, purity and speed."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict.placing import LivePredictor
from tests.predict.worlds import world
from tests.speed import cpu_s, least, slowness

P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
SIMULATED = world(0)
LEARNED = LivePredictor().updated(SIMULATED.runs)


class TwiceAsLong:
    """A model that says 2 s for everything, a factor of 1.5 either way, and counts how often it is asked."""

    version = "two"

    def __init__(self):
        self.asked = 0

    def pair_quantiles(self, computations, resources):
        self.asked += 1
        spread = np.exp(np.array([-1.6448536, -1.2815516, -0.6744898, 0, 0.6744898, 1.2815516, 1.6448536]) * 0.3)
        return np.broadcast_to(2.0 * spread, (len(computations), len(resources), len(LEVELS))).copy()


def errors(predictor, simulated, ran):
    pairs = simulated.pairs(ran)
    found = [predictor.predict([c], [r]).runtime_s.values[0, 0, P50] for c, r, _ in pairs]
    return np.abs(np.log(found) - np.array([truth for _, _, truth in pairs]))


def test_without_model_and_runs_the_fallback_answers_and_is_unsure():
    resources = [
        Resource(id="slow", spec={"fp64_flop_per_s": 1e10}),
        Resource(id="quick", spec={"fp64_flop_per_s": 1e11}),
    ]
    answer = LivePredictor().predict([Computation(id="f", kernel="f")], resources)
    assert answer.path == "dna-match"
    assert answer.runtime_s.values[0, 0, P50] == pytest.approx(10 * answer.runtime_s.values[0, 1, P50])
    assert (answer.runtime_s.values[..., P90] / answer.runtime_s.values[..., P10] > 50).all()


def test_a_physical_bound_is_the_first_guess_where_demand_and_peak_are_known():
    work = Computation(id="f", kernel="f", demand={"fp64_flop": 1e11})
    answer = LivePredictor().predict([work], [Resource(id="r", spec={"fp64_flop_per_s": 1e10})])
    assert 10.0 < answer.runtime_s.values[0, 0, P50] < 40.0


def test_cells_that_ran_are_predicted_within_their_noise():
    assert np.median(errors(LEARNED, SIMULATED, ran=True)) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_cells_that_never_ran_are_predicted_within_fifteen_percent(seed):
    simulated = world(seed)
    predictor = LivePredictor().updated(simulated.runs)
    assert np.median(errors(predictor, simulated, ran=False)) < 0.15
    assert predictor.predict([simulated.computations[0, 0]], simulated.resources).path == "runs"


def test_intervals_hold_about_eighty_percent_of_further_runs():
    inside = []
    for seed in range(5):
        simulated = world(seed)
        predictor, rng = LivePredictor().updated(simulated.runs), np.random.default_rng(seed)
        for computation, resource, truth in simulated.pairs(ran=False) + simulated.pairs(ran=True):
            values = predictor.predict([computation], [resource]).runtime_s.values[0, 0]
            inside.append(values[P10] <= np.exp(truth + rng.normal(0, simulated.noise_sd)) <= values[P90])
    assert 0.72 <= np.mean(inside) <= 0.90


def test_a_kernel_that_never_ran_gets_the_pools_answer():
    answer = LEARNED.predict([Computation(id="new", kernel="new")], SIMULATED.resources)
    assert answer.path == "pool"
    speed = SIMULATED.truth.mean(axis=(0, 1))
    assert np.corrcoef(np.log(answer.runtime_s.values[0, :, P50]), speed)[0, 1] > 0.9


def test_a_resource_that_never_ran_anything_gets_a_wide_answer():
    other = Resource(id="other")
    values = LEARNED.predict([SIMULATED.computations[0, 0]], [SIMULATED.resources[0], other]).runtime_s.values[0]
    assert values[1, P90] / values[1, P10] > 2 * values[0, P90] / values[0, P10]


def test_an_update_returns_another_predictor_and_leaves_the_old_as_it_was():
    computation, resource = SIMULATED.computations[0, 0], SIMULATED.resources[0]
    before = LEARNED.predict([computation], [resource]).runtime_s.values.copy()
    slow = [Run(computation=computation, resource=resource, runtime_s=50.0, at_s=0.0)] * 6
    after = LEARNED.updated(slow).predict([computation], [resource]).runtime_s.values
    assert after[0, 0, P50] > 1.5 * before[0, 0, P50]
    np.testing.assert_array_equal(LEARNED.predict([computation], [resource]).runtime_s.values, before)
    assert LEARNED.updated([]) is LEARNED


def test_runs_one_at_a_time_teach_about_as_much_as_all_at_once():
    predictor = LivePredictor()
    for run in SIMULATED.runs:
        predictor = predictor.updated([run])
    assert np.median(errors(predictor, SIMULATED, ran=False)) < 0.15
    assert predictor.version == LEARNED.version == f"live-1+{len(SIMULATED.runs)}"


def test_an_answer_does_not_depend_on_what_else_is_asked():
    computations = list(SIMULATED.computations.values())
    together = LEARNED.predict(computations, SIMULATED.resources)
    for place in (0, 7, len(computations) - 1):
        fresh = LivePredictor().updated(SIMULATED.runs)
        for column, resource in enumerate(SIMULATED.resources):
            alone = fresh.predict([computations[place]], [resource])
            np.testing.assert_allclose(
                alone.runtime_s.values[0, 0], together.runtime_s.values[place, column], rtol=1e-9
            )


def test_repeated_computations_share_a_row_and_subsets_are_answered_alike():
    a, b = SIMULATED.computations[0, 0], SIMULATED.computations[1, 1]
    whole = LEARNED.predict([a, b, a], SIMULATED.resources)
    np.testing.assert_array_equal(whole.runtime_s.values[0], whole.runtime_s.values[2])
    part = LEARNED.predict([b, b], SIMULATED.resources)
    np.testing.assert_array_equal(part.runtime_s.values[0], whole.runtime_s.values[1])
    assert LEARNED.predict([], SIMULATED.resources).runtime_s.values.shape == (0, 5, len(LEVELS))


def test_what_needs_more_memory_than_a_resource_has_is_not_feasible():
    large = replace(SIMULATED.computations[0, 0], memory_bytes=2**40)
    roomy = Resource(id="roomy")
    answer = LEARNED.predict([large], [*SIMULATED.resources, roomy])
    assert answer.feasible[0].tolist() == [False] * 5 + [True]
    assert LEARNED.shortlist(large, [*SIMULATED.resources, roomy], Objective(), 4).tolist() == [5]


def test_a_shortlist_by_latency_begins_with_the_quickest():
    computation = SIMULATED.computations[2, 2]
    times = LEARNED.predict([computation], SIMULATED.resources).runtime_s.values[0, :, P50]
    best = LEARNED.shortlist(computation, SIMULATED.resources, Objective.of("min_latency"), 3)
    assert best.tolist() == np.argsort(times)[:3].tolist()


def test_costs_follow_prices_and_hazard_has_one_rate_a_resource():
    answer = LEARNED.predict([SIMULATED.computations[0, 0]], [SIMULATED.resources[0], Resource(id="unpriced")])
    price = SIMULATED.resources[0].price_usd_per_h / 3600
    np.testing.assert_allclose(answer.cost_usd.values[0, 0], price * answer.runtime_s.values[0, 0])
    assert np.isnan(answer.cost_usd.values[0, 1]).all()
    assert answer.hazard_per_h.shape == (2,)


def test_a_models_answer_is_asked_once_and_kept():
    model = TwiceAsLong()
    predictor = LivePredictor(model=model)
    for _ in range(3):
        answer = predictor.predict([SIMULATED.computations[0, 0]], SIMULATED.resources)
    assert model.asked == 1
    assert answer.path == "model"
    np.testing.assert_allclose(answer.runtime_s.values[..., P50], 2.0)
    assert predictor.version == "two+0"


def test_runs_move_and_narrow_what_a_model_said():
    model, (a, b) = TwiceAsLong(), SIMULATED.resources[:2]
    work, other = SIMULATED.computations[0, 0], SIMULATED.computations[5, 0]
    predictor = LivePredictor(model=model)
    runs = [Run(computation=work, resource=a, runtime_s=2.6, at_s=0.0)] * 5
    values = predictor.updated(runs).predict([work, other], [a, b]).runtime_s.values
    assert 2.2 < values[0, 0, P50] < 2.6
    assert 2.0 < values[0, 1, P50] < values[0, 0, P50]
    assert values[0, 0, P90] / values[0, 0, P10] < np.exp(2 * 1.2815516 * 0.3)
    np.testing.assert_allclose(values[1, :, P50], 2.0)


def test_many_runs_after_a_model_are_learned_from_together():
    predictor = LivePredictor(model=TwiceAsLong()).updated(SIMULATED.runs)
    assert predictor.prior is not None
    assert np.isfinite(predictor.predict([SIMULATED.computations[0, 0]], SIMULATED.resources).runtime_s.values).all()


@pytest.mark.serial
def test_decisions_and_learning_stay_within_their_budget():
    computations = [list(SIMULATED.computations.values())[i % 8] for i in range(256)]
    pool = SIMULATED.resources[:4]

    calls = {
        "one": (lambda: LEARNED.predict(computations[:1], pool), 500, 25e-6),
        "many": (lambda: LEARNED.predict(computations, pool), 100, 500e-6),
        "first": (lambda: LivePredictor().updated(SIMULATED.runs), 1, 60e-6 * len(SIMULATED.runs)),
        "next": (lambda: LEARNED.updated(SIMULATED.runs[:50]), 20, 30e-6 * 50),
    }
    for name, (call, each, limit_s) in calls.items():
        limit_s *= slowness()
        assert least(cpu_s(call, each=each), limit_s) <= limit_s, name


def test_two_computations_that_move_different_amounts_are_kept_apart_where_data_costs():
    far = Resource(id="far", price_usd_per_h=1.0, spec={"out_usd_per_gb": 1.0})
    little, much = (Computation(id="f", kernel="f", demand={"output_bytes": size}) for size in (1e9, 5e9))
    run = Run(computation=little, resource=far, runtime_s=1.0, at_s=0.0)
    costs = LivePredictor().updated([run]).predict([little, much], [far]).cost_usd.values[:, 0, P50]
    assert costs[1] - costs[0] == pytest.approx(4.0)
