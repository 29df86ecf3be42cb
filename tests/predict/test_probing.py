"""Probe choice: what teaches most per second, and what may be the best resource."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.predict.probing import (
    Candidates,
    Goal,
    Stop,
    best_first,
    gains,
    log_expected_improvement,
    most_learnt,
    sequence,
)
from tests.speed import cpu_s, least, slowness


def candidates(seed=0, count=12, rank=3, **more):
    rng = np.random.default_rng(seed)
    factor = rng.normal(0, 0.4, (count, rank))
    plain = {"mean": rng.normal(0, 0.5, count), "covariance": factor @ factor.T, "noise": np.full(count, 0.01)}
    return Candidates(**{**plain, **more})


def conditioned(covariance, noise, places):
    """Condition on runs of some pairs all at once, by the textbook formula."""
    chosen = covariance[np.ix_(places, places)] + np.diag(noise[places])
    return covariance - covariance[:, places] @ np.linalg.solve(chosen, covariance[places])


def test_a_gain_is_the_variance_that_a_run_takes_away_weighted_by_usage():
    usage = np.arange(1.0, 13.0)
    given_ = candidates(usage=usage)
    before = np.diagonal(given_.covariance)
    for place, gain in enumerate(gains(given_)):
        after = np.diagonal(conditioned(given_.covariance, given_.noise, [place]))
        assert gain == pytest.approx(usage / usage.sum() @ (before - after))
        np.testing.assert_allclose(np.diagonal(given_.after(place).covariance), after, atol=1e-12)


def test_the_pair_that_teaches_most_per_second_is_chosen_not_the_one_that_teaches_most():
    seconds = np.ones(12)
    strongest = most_learnt(candidates(seconds=seconds))
    assert strongest == int(np.argmax(gains(candidates())))
    seconds[strongest] = 1000.0
    assert most_learnt(candidates(seconds=seconds)) != strongest


def test_an_outlier_with_the_largest_variance_is_not_probed_when_it_says_nothing_about_others():
    covariance = np.full((6, 6), 0.5)
    covariance[5] = covariance[:, 5] = 0.0
    covariance[5, 5] = 1.5  # the largest determinant would start here
    chosen = most_learnt(Candidates(mean=np.zeros(6), covariance=covariance, noise=np.full(6, 0.01)))
    assert chosen == 0


def test_exact_ties_go_to_the_first_and_pairs_that_cannot_run_are_left_out():
    equal = Candidates(mean=np.zeros(4), covariance=np.eye(4), noise=np.ones(4))
    assert most_learnt(equal) == 0
    closed = Candidates(
        mean=np.zeros(4), covariance=np.eye(4), noise=np.ones(4), feasible=np.array([False, False, True, True])
    )
    assert most_learnt(closed) == 2
    assert best_first(closed, goal=Goal.FASTEST) == 2
    assert best_first(closed, goal=Goal.FASTEST, best=1.0) == 2
    none = Candidates(mean=np.zeros(2), covariance=np.eye(2), noise=np.ones(2), feasible=np.zeros(2, dtype=bool))
    assert most_learnt(none) is None
    assert best_first(none, goal=Goal.FASTEST) is None
    assert sequence(none, 3).places == ()


def test_a_sequence_conditions_on_what_it_chose_and_repeats_nothing():
    given_ = candidates(seconds=np.ones(12))
    probes = sequence(given_, 5)
    assert len(set(probes.places)) == 5
    assert probes.seconds == 5.0
    assert (np.diff(probes.sd_after) < 0).all()
    left = conditioned(given_.covariance, given_.noise, list(probes.places))
    assert probes.sd_after[-1] == pytest.approx(math.sqrt(np.diagonal(left).mean()))


def test_three_chosen_runs_leave_less_to_learn_than_three_random_ones_nearly_always():
    rng, wins = np.random.default_rng(0), 0
    for seed in range(50):
        given_ = candidates(seed, count=40, seconds=np.ones(40))
        left = conditioned(given_.covariance, given_.noise, rng.permutation(40)[:3].tolist())
        wins += sequence(given_, 3).sd_after[-1] < math.sqrt(np.diagonal(left).mean())
    assert wins >= 45


def test_probing_stops_when_enough_is_known_or_no_run_fits_into_the_seconds_left():
    given_ = candidates(seconds=np.full(12, 2.0))
    full = sequence(given_, 12)
    enough = sequence(given_, 12, stop=Stop(sd=full.sd_after[2] + 1e-9, seconds=math.inf))
    assert enough.places == full.places[:3]
    assert sequence(given_, 12, stop=Stop(sd=0.0, seconds=5.0)).places == full.places[:2]
    assert sequence(given_, 12, stop=Stop(sd=1e9)).places == ()
    slow_first = candidates(seconds=np.where(np.arange(12) == full.places[0], 20.0, 2.0))
    assert full.places[0] not in sequence(slow_first, 2, stop=Stop(sd=0.0, seconds=4.0)).places


def test_without_stated_seconds_the_predicted_median_counts():
    covariance, noise = np.eye(3), np.ones(3)
    assert most_learnt(Candidates(mean=np.array([2.0, -1.0, 0.0]), covariance=covariance, noise=noise)) == 1


def test_the_fastest_is_sought_by_time_and_the_cheapest_by_time_and_price():
    given_ = Candidates(
        mean=np.log([10.0, 20.0, 1.0]),
        covariance=np.eye(3) * 0.04,
        noise=np.full(3, 0.01),
        price_usd_per_s=np.array([1.0, 0.1, math.nan]),
    )
    assert best_first(given_, goal=Goal.FASTEST) == 2
    assert best_first(given_, goal=Goal.FASTEST, best=9.0) == 2
    assert best_first(given_, goal=Goal.CHEAPEST) == 1
    assert best_first(given_, goal=Goal.CHEAPEST, best=2.5) == 1
    assert best_first(given_, goal=Goal.LEARN) == most_learnt(given_)


def test_a_resource_that_costs_nothing_is_the_cheapest_and_a_measured_cost_of_zero_breaks_nothing():
    given_ = Candidates(
        mean=np.zeros(3), covariance=np.eye(3), noise=np.ones(3), price_usd_per_s=np.array([1e-9, 0.0, -1.0])
    )
    assert best_first(given_, goal=Goal.CHEAPEST) == 1
    assert best_first(given_, goal=Goal.CHEAPEST, best=1e-3) == 1
    assert best_first(given_, goal=Goal.CHEAPEST, best=0.0) == 1


def test_the_search_explores_what_is_unsure_once_the_sure_ones_cannot_improve():
    given_ = Candidates(mean=np.log([10.0, 11.0]), covariance=np.diag([1e-6, 0.25]), noise=np.full(2, 0.01))
    assert best_first(given_, goal=Goal.FASTEST) == 0
    assert best_first(given_, goal=Goal.FASTEST, best=10.0) == 1


@given(
    mean=st.floats(-5, 5),
    sd=st.floats(0.05, 3),
    best=st.floats(-5, 5),
)
@settings(max_examples=50, deadline=None)
def test_the_expected_improvement_agrees_with_numerical_integration(mean, sd, best):
    from scipy.integrate import quad
    from scipy.stats import norm

    value, _ = quad(lambda v: (best - v) * norm.pdf(v, mean, sd), mean - 40 * sd, min(best, mean + 40 * sd), limit=200)
    found = float(log_expected_improvement(np.array([mean]), np.array([sd]), best)[0])
    if best - mean > -4 * sd:
        assert math.exp(found) == pytest.approx(value, rel=1e-4)


def test_the_expected_improvement_rises_with_the_score_into_the_far_tail():
    z = np.concatenate([np.linspace(-1000, -8, 500), np.linspace(-8, 8, 4001), np.linspace(8, 1000, 500)])
    found = log_expected_improvement(-z, np.ones(len(z)), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()
    assert np.isfinite(log_expected_improvement(np.array([0.0, 700.0]), np.zeros(2), -700.0)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"covariance": np.eye(3)}, r"covariance must be \[12, 12\], got \[3, 3\]"),
        ({"noise": np.ones(3)}, r"noise must be \[12\], got \[3\]"),
        ({"mean": np.full(12, math.nan)}, "mean and covariance must be finite"),
        ({"noise": np.full(12, -1.0)}, "noise must be finite and at least 0, got -1.0"),
        ({"seconds": np.zeros(12)}, "seconds must be finite"),
        ({"usage": np.full(12, math.inf)}, "usage must be finite"),
    ],
)
def test_what_cannot_be_true_is_refused_with_its_name(wrong, message):
    with pytest.raises(InputError, match=message):
        candidates(**wrong)


def test_usage_of_nothing_a_missing_price_and_an_impossible_best_are_refused():
    with pytest.raises(InputError, match="usage must have a positive sum"):
        most_learnt(candidates(usage=np.zeros(12)))
    with pytest.raises(InputError, match="the cheapest pair needs price_usd_per_s"):
        best_first(candidates(), goal=Goal.CHEAPEST)
    with pytest.raises(InputError, match="best: must be finite and not negative, got nan"):
        best_first(candidates(), goal=Goal.FASTEST, best=math.nan)


def test_certain_pairs_without_noise_teach_nothing_and_break_nothing():
    sure = Candidates(mean=np.zeros(2), covariance=np.zeros((2, 2)), noise=np.zeros(2))
    assert gains(sure).tolist() == [0.0, 0.0]
    assert sure.after(0) is sure
    assert sequence(sure, 2).places == (0, 1)
    assert best_first(sure, goal=Goal.FASTEST, best=1.0) == 0


@given(seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_choice_does_not_depend_on_the_order_of_pairs(seed, order):
    given_ = candidates(seed, price_usd_per_s=np.linspace(0.1, 1, 12))
    moved = list(range(12))
    order.shuffle(moved)
    other = Candidates(
        mean=given_.mean[moved],
        covariance=given_.covariance[np.ix_(moved, moved)],
        noise=given_.noise[moved],
        price_usd_per_s=given_.price_usd_per_s[moved],
    )
    assert moved[most_learnt(other)] == most_learnt(given_)
    for goal in (Goal.FASTEST, Goal.CHEAPEST):
        assert moved[best_first(other, goal=goal, best=0.7)] == best_first(given_, goal=goal, best=0.7)


@pytest.mark.serial
def test_ten_probes_among_a_thousand_pairs_are_chosen_within_half_a_second_of_processor_time():
    given_ = candidates(count=1000, rank=17)

    def choose():
        assert len(sequence(given_, 10).places) == 10
        assert best_first(given_, goal=Goal.FASTEST, best=1.0) is not None

    limit_s = 0.5 * slowness()
    assert least(cpu_s(choose), limit_s, most=5) <= limit_s
