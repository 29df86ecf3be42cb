"""Shares that end together against trying every subset and a solver of the minimax problem."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from dnaml.schedule.splitting import Joining, split

times = st.floats(0.0, 100.0)
positive = st.floats(0.01, 1000.0)


def best_of_all_subsets(a: np.ndarray, b: np.ndarray, joining: Joining) -> float:
    """Try every subset: all must end together with shares that are not negative."""
    best = float((a + b).min())
    most = joining.most_parts or len(a)
    for size in range(2, min(most, len(a)) + 1):
        for chosen in combinations(range(len(a)), size):
            s = list(chosen)
            tau = (1 + (a[s] / b[s]).sum()) / (1 / b[s]).sum()
            if (tau >= a[s]).all():
                best = min(best, tau + joining.join_s + joining.join_each_s * size)
    return best


@given(
    pairs=st.lists(st.tuples(times, positive), min_size=1, max_size=8),
    join_s=st.sampled_from([0.0, 0.5, 20.0]),
    each_s=st.sampled_from([0.0, 0.1, 5.0]),
    most=st.sampled_from([None, 1, 2, 3]),
)
def test_a_split_equals_trying_every_subset(pairs, join_s, each_s, most):
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    joining = Joining(join_s=join_s, join_each_s=each_s, most_parts=most)
    found = split(a, b, joining=joining, worth=0.0)
    assert found.end_s == pytest.approx(best_of_all_subsets(a, b, joining), rel=1e-9)
    assert found.share.sum() == pytest.approx(1.0)
    assert found.share.min() >= 0
    assert found.parts <= (most or 8)
    used = found.share > 0
    ends = (a + b * found.share)[used]
    assert ends.max() == pytest.approx(ends.min(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_a_split_equals_the_linear_programme(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 50, 8), rng.uniform(1, 100, 8)
    # Variables are shares and tau; a resource may stay idle, so its start counts only if it takes part: try all sets.
    best = np.inf
    for size in range(1, 9):
        for s in combinations(range(8), size):
            index = list(s)
            rows = np.column_stack([np.diag(b[index]), -np.ones(size)])
            sums = np.append(np.ones(size), 0.0)[None]
            solved = linprog(np.append(np.zeros(size), 1.0), rows, -a[index], sums, [1.0])
            best = min(best, solved.fun)
        if size == 3 and seed:
            break  # all sets for the first seed, small ones for the others
    found = split(a, b, joining=Joining(most_parts=8 if not seed else 3), worth=0.0)
    assert found.end_s == pytest.approx(best, rel=1e-9)


def test_work_is_split_only_where_it_gains_enough():
    a, b = np.array([0.0, 9.2]), np.array([10.0, 10.0])
    assert split(a, b).share.tolist() == [1.0, 0.0]  # 9.6 instead of 10 s gains 4 %
    assert split(a, b).end_s == 10.0
    assert split(a, b, worth=0.03).share.tolist() == pytest.approx([0.96, 0.04])


@pytest.mark.parametrize(
    ("start", "whole", "word"),
    [(np.nan, 1.0, "start"), (-1.0, 1.0, "start"), (0.0, 0.0, "positive"), (0.0, np.inf, "finite")],
)
def test_a_resource_without_usable_times_takes_no_part_and_has_a_reason(start, whole, word):
    found = split(np.array([0.0, start, 0.0]), np.array([4.0, whole, 4.0]))
    assert found.share.tolist() == [0.5, 0.0, 0.5]
    assert word in found.unusable[1]


def test_without_usable_resources_nothing_is_shared():
    for start in (np.zeros(0), np.full(2, np.nan)):
        found = split(start, np.ones(len(start)))
        assert found.share.sum() == 0
        assert found.end_s == np.inf
