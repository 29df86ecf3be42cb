"""Copies against trying every set, probabilities against simulated failures, and when a second copy pays."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.schedule.replication import Candidate, fewest_copies, joint_failure, majority_probability, speculate

candidate = st.builds(
    Candidate, p_fail=st.floats(0.0, 1.0), cost=st.floats(0.0, 10.0), domain=st.sampled_from(["a", "b", "c"])
)


def best_of_all(candidates, p_wanted, most):
    """Return (copies, cost) of the fewest and then cheapest set that is safe enough, or None."""
    for size in range(1, min(most, len(candidates)) + 1):
        costs = [
            sum(c.cost for c in chosen)
            for chosen in combinations(candidates, size)
            if 1 - joint_failure(chosen) >= p_wanted
        ]
        if costs:
            return size, min(costs)
    return None


@given(candidates=st.lists(candidate, min_size=1, max_size=8), p_wanted=st.sampled_from([0.5, 0.9, 0.99, 0.9999]))
def test_copies_equal_trying_every_set(candidates, p_wanted):
    found = fewest_copies(candidates, p_wanted)
    best = best_of_all(candidates, p_wanted, 8)
    if best is None:
        assert "wanted" in found.reason
        everything = [joint_failure(s) for n in range(1, len(candidates) + 1) for s in combinations(candidates, n)]
        assert 1 - found.p_complete == pytest.approx(min(everything), abs=1e-12)
    else:
        assert not found.reason
        assert len(found.chosen) == best[0]
        assert found.cost == pytest.approx(best[1], rel=1e-9, abs=1e-9)
        assert found.least_cost == found.cost
        assert found.p_complete >= p_wanted
    assert len(set(found.chosen)) == len(found.chosen)


def test_copies_go_to_distinct_domains_first():
    candidates = [Candidate(p_fail=0.1, cost=1.0, domain=domain) for domain in ("rack1", "rack1", "rack2")]
    assert fewest_copies(candidates, 0.985).chosen == (0, 2)  # 0.01 apart, 0.019 in one rack
    assert joint_failure(candidates[:2]) == pytest.approx(0.9 * 0.01 + 0.1 * 0.1)


def drawn_failures(candidates, rng, shared=0.1):
    fails = rng.random(len(candidates)) < [c.p_fail for c in candidates]
    for domain in {c.domain for c in candidates}:
        members = [i for i, c in enumerate(candidates) if c.domain == domain]
        if rng.random() < shared:
            fails[members] = rng.random() < max(candidates[i].p_fail for i in members)
    return fails


SOME = [
    Candidate(p_fail=p, cost=1.0, domain=d) for p, d in ((0.3, "a"), (0.2, "a"), (0.25, "b"), (0.4, "c"), (0.1, "c"))
]


def test_simulated_failures_agree_with_the_formulas():
    rng = np.random.default_rng(3)
    draws = np.array([drawn_failures(SOME, rng) for _ in range(40_000)])
    for some in ([0, 1], [0, 2], [0, 1, 2], [3, 4]):
        chosen = [SOME[i] for i in some]
        assert draws[:, some].all(axis=1).mean() == pytest.approx(joint_failure(chosen), rel=0.05)
        right = (~draws[:, some]).sum(axis=1) > len(some) / 2
        assert right.mean() == pytest.approx(majority_probability(chosen), rel=0.05)
    right = (~draws).sum(axis=1) > 2.5
    assert right.mean() == pytest.approx(majority_probability(SOME), rel=0.05)


def test_a_majority_of_none_is_never_reached():
    assert majority_probability([]) == 0.0
    assert majority_probability(SOME[:1]) == pytest.approx(0.7)


def test_a_failure_rate_of_one_needs_other_places():
    found = fewest_copies(
        [Candidate(p_fail=1.0, cost=0.0, domain="a"), Candidate(p_fail=0.0, cost=5.0, domain="b")], 1.0
    )
    assert found.chosen == (1,)


@pytest.mark.parametrize(
    ("candidates", "most", "word"),
    [
        ([], 8, "no resource"),
        ([Candidate(p_fail=0.1, cost=1.0, domain="a")], 0, "at most 0"),
        ([Candidate(p_fail=np.nan, cost=1.0, domain="a"), Candidate(p_fail=0.1, cost=np.nan, domain="a")], 8, "known"),
    ],
)
def test_no_copy_at_all_has_a_reason(candidates, most, word):
    found = fewest_copies(candidates, 0.9, most=most)
    assert found.chosen == ()
    assert found.p_complete == 0
    assert word in found.reason


def test_a_search_cut_short_certifies_what_it_has_seen():
    rng = np.random.default_rng(0)
    candidates = [
        Candidate(p_fail=p, cost=c, domain=str(i % 7))
        for i, (p, c) in enumerate(zip(rng.uniform(0.05, 0.3, 60), rng.uniform(1, 2, 60), strict=True))
    ]
    whole, cut = (fewest_copies(candidates, 0.99, steps=steps) for steps in (10**6, 300))
    assert len(cut.chosen) == len(whole.chosen)
    assert whole.least_cost == whole.cost
    assert cut.least_cost <= whole.cost <= cut.cost
    assert cut.p_complete >= 0.99


def test_a_straggler_gets_a_copy_only_when_that_pays():
    slow, quick = np.full(8, 1000.0), np.full(8, 100.0)
    found = speculate(slow, quick, usd_per_s=1.0, copy_price_usd_per_s=1.0)
    assert (found.start, found.saved_s, found.spent_usd) == (True, 900.0, 100.0)
    assert not speculate(quick, slow, usd_per_s=1.0).start
    assert not speculate(slow, quick, usd_per_s=0.01, copy_price_usd_per_s=1.0).start


def test_a_saving_of_little_is_not_worth_a_copy_even_for_nothing():
    assert not speculate(np.full(8, 100.0), np.full(8, 95.0), usd_per_s=1.0).start


def test_two_runs_of_one_heavy_tail_end_sooner_than_one():
    times = np.sort(np.random.default_rng(0).pareto(1.5, 64))
    found = speculate(times, times, usd_per_s=1.0)
    assert found.start
    assert found.saved_s == pytest.approx(times.mean() - np.minimum(times[:, None], times).mean())
