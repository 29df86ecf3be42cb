"""Kept answers: order, paths, and bounds on what is kept."""

import numpy as np

from dnaml.core.prediction import LEVELS
from dnaml.core.types import Computation, Resource
from dnaml.predict.bound import TRAITS
from dnaml.predict.history import History
from dnaml.predict.outcomes import Hazard
from dnaml.predict.pools import MATCH, MODEL, MOST_VALUES, RUNS, KeptAnswers

WORK, LARGE = Computation(id="f", kernel="f"), Computation(id="g", kernel="g", memory_bytes=20)
POOL = [Resource(id="a", memory_bytes=10), Resource(id="b")]
ROW = np.ones((2, len(LEVELS)))


def kept():
    return KeptAnswers(POOL, History(), Hazard())


def test_rows_come_back_in_the_order_asked_for_and_a_single_one_is_kept_whole():
    answers = kept()
    one, two = answers.add(("x",), ROW, WORK, RUNS), answers.add(("y",), 2 * ROW, LARGE, RUNS)
    np.testing.assert_array_equal(answers.answer([two, one, two]).runtime_s.values[:, 0, 0], [2, 1, 2])
    assert answers.answer([one]) is answers.answer([one])
    assert answers.answer([two]).feasible.tolist() == [[False, True]]


def test_the_path_is_the_weakest_that_was_used():
    answers = kept()
    strong, weak = answers.add(("x",), ROW, WORK, MODEL), answers.add(("y",), ROW, WORK, MATCH)
    assert answers.answer([strong, strong]).path == "model"
    assert answers.answer([strong, weak]).path == "dna-match"


def test_answers_cannot_be_written_to():
    answers = kept()
    answer = answers.answer([answers.add(("x",), ROW, WORK, RUNS)])
    assert not answer.runtime_s.values.flags.writeable
    assert not answer.hazard_per_h.flags.writeable


def test_it_is_full_after_so_many_values_and_can_be_cleared():
    answers = kept()
    rows = MOST_VALUES // ROW.size + 1
    for row in range(rows):
        answers.add((row,), ROW, WORK, RUNS)
    assert answers.full
    answers.clear()
    assert not answers.full
    assert answers.index == {}


def test_resources_without_runs_get_codes_of_their_own():
    answers = KeptAnswers(POOL, History(codes={"b": 0}, traits=((0.0,) * TRAITS,)), Hazard())
    assert answers.codes.tolist() == [1, 0]


def test_costs_follow_the_tariff_of_each_resource_and_what_a_run_moves():
    priced = [
        Resource(id="plain", price_usd_per_h=3.6),
        Resource(id="whole hours", price_usd_per_h=3.6, spec={"billing_quantum_s": 3600.0}),
        Resource(id="far", price_usd_per_h=3.6, startup_s=1.0, spec={"out_usd_per_gb": 0.5}),
        Resource(id="calls", spec={"usd_per_gb_s": 1e-5, "usd_per_call": 1e-3}),
    ]
    answers = KeptAnswers(priced, History(), Hazard())
    row = np.full((4, len(LEVELS)), 10.0)
    work = Computation(id="f", kernel="f", memory_bytes=2_000_000_000, demand={"output_bytes": 4e9})
    costs = answers.answer([answers.add(("x",), row, work, RUNS)]).cost_usd.values[0, :, 0]
    np.testing.assert_allclose(costs, [0.01, 3.6, 0.011 + 2.0, 2 * 10 * 1e-5 + 1e-3])


def test_where_only_a_price_is_known_the_cost_is_price_times_time_to_the_bit():
    priced = [Resource(id="a", price_usd_per_h=0.37), Resource(id="b", price_usd_per_h=1.9)]
    answers = KeptAnswers(priced, History(), Hazard())
    row = np.exp(np.random.default_rng(0).normal(size=(2, len(LEVELS)))).cumsum(axis=1)
    costs = answers.answer([answers.add(("x",), row, WORK, RUNS)]).cost_usd.values[0]
    assert not answers.depends_on_data
    np.testing.assert_array_equal(costs, np.array([[0.37 / 3600], [1.9 / 3600]]) * row)


def test_the_hazard_of_a_resource_has_the_prior_of_what_it_is():
    plain, spot = Resource(id="plain"), Resource(id="spot", labels={"use_spot": "true"})
    rates = KeptAnswers([plain, spot], History(), Hazard()).hazard
    assert rates[1] > 3 * rates[0] > 0
