"""Noisy predictions are drawn to what the others say, exact ones stay; plans are searched again as jobs are known."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.work import Objective
from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.belief import believed, posterior
from dnaml.schedule.rounds.knobs import Knobs
from dnaml.schedule.rounds.priced import Ranking
from tests.schedule.rounds.rounds import a_round, drawn


def world(seed, *, jobs=200, rest=0.2, error=0.5):
    """Return true logarithms of runtimes [J, 3] (job, type and a rest), and what a predictor says of them."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(8.0, 1.0, (jobs, 1)) + np.array([0.0, 0.7, 1.5]) + rng.normal(0.0, rest, (jobs, 3))
    return truth, truth + rng.normal(0.0, error, truth.shape)


@pytest.mark.parametrize("seed", range(5))
def test_shrunk_predictions_are_nearer_to_the_truth_and_know_how_near(seed):
    truth, said = world(seed)
    mean, sd = posterior(said, np.full(said.shape, 0.5), np.ones(said.shape, dtype=bool))
    assert np.abs(mean - truth).mean() < 0.85 * np.abs(said - truth).mean()
    assert (sd < 0.5).all()


def test_an_exact_prediction_is_not_moved_and_helps_the_others_of_its_job():
    truth, said = world(0, jobs=100)
    sd = np.full(said.shape, 0.5)
    sd[:50, 0], said[:50, 0] = 0.0, truth[:50, 0]
    mean, _ = posterior(said, sd, np.ones(said.shape, dtype=bool))
    np.testing.assert_allclose(mean[:50, 0], truth[:50, 0], atol=1e-9)
    error = np.abs(mean - truth)[:, 1:]
    assert error[:50].mean() < error[50:].mean()


def test_a_round_keeps_what_cannot_run_and_exact_rounds_as_they_are():
    now = drawn(3)
    assert believed(now) is now
    assert believed(replace(now, log_sd=np.zeros(now.left_s.shape))).left_s is now.left_s
    seen = believed(replace(now, log_sd=np.full(now.left_s.shape, 0.5)))
    np.testing.assert_array_equal(np.isinf(seen.left_s), np.isinf(now.left_s))
    can = np.isfinite(now.left_s)
    np.testing.assert_allclose(seen.left_s[can] * seen.speed[can], now.left_s[can] * now.speed[can])


def test_one_job_or_one_type_has_nobody_to_be_compared_with():
    alone = a_round([[10.0, 20.0]], log_sd=np.full((1, 2), 0.5))
    assert believed(alone) is alone
    column = a_round([[10.0], [20.0]], capacity=(1,), price=(1.0,), log_sd=np.full((2, 1), 0.5))
    assert believed(column) is column


def test_a_deadline_is_protected_for_a_runtime_above_the_mean():
    sure = a_round([[90.0]], capacity=(1,), price=(1.0,), deadline_s=[100.0])
    unsure = replace(sure, deadline_s=np.array([120.0]), log_sd=np.full((1, 1), 0.9))
    knobs = Knobs(urgent_share=0.0)
    rows, undone = np.array([0]), np.ones(1)
    assert not Ranking(replace(sure, deadline_s=np.array([120.0])), knobs).urgent(rows, undone, 0.0)[0].any()
    assert Ranking(unsure, knobs).urgent(rows, undone, 0.0)[0].all()


def test_an_end_that_most_jobs_share_is_pursued_when_it_is_past_others_are_given_up():
    knobs, rows, undone = Knobs(), np.arange(3), np.ones(3)
    shared = a_round([[90.0]] * 3, capacity=(1,), price=(1.0,), deadline_s=[-1e5, -1e5, np.inf])
    assert Ranking(shared, knobs).urgent(rows, undone, 0.0)[0].tolist() == [True, True, False]
    own = replace(shared, deadline_s=np.array([-1e5, -2e5, np.inf]))
    assert not Ranking(own, knobs).urgent(rows, undone, 0.0)[0].any()


def test_a_plan_is_searched_again_when_enough_jobs_have_shown_how_fast_they_are():
    now = replace(drawn(1, jobs=20), objective=Objective.of("min_latency"))
    now = replace(now, log_sd=np.full(now.left_s.shape, 0.4))
    policy = Adaptive(batch=4, rollouts=8, polish=8)
    first = policy.allocate(now)
    again = policy.allocate(replace(now, memory=first.memory))
    assert again.memory.found is first.memory.found
    shown = now.log_sd.copy()
    shown[:6, :] = 0.0
    renewed = policy.allocate(replace(now, memory=again.memory, log_sd=shown))
    assert renewed.memory.found is not first.memory.found
    assert len(renewed.memory.known) >= 4
    equal = policy.allocate(replace(now, memory=again.memory, log_sd=shown))
    assert equal.choice.tolist() == renewed.choice.tolist()
