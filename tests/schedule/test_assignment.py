"""The matching of jobs to positions: exact against trying all, greedy and blocks against exact."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from dnaml.schedule.assignment import BLOCK, assign, quick_total, solver_below
from dnaml.schedule.queues import FloatArray

ONE_SLOT = np.ones(3, dtype=np.int64)


def best_by_trying_all(slope: FloatArray, base: FloatArray, slots: list[int]) -> float:
    """Try every choice of resources; within a queue the shortest run first, over its slots in turn."""
    jobs, width = slope.shape
    best = np.inf
    for choice in product(range(width), repeat=jobs):
        total = 0.0
        for r in range(width):
            queue = sorted((slope[j, r] for j in range(jobs) if choice[j] == r), reverse=True)
            total += sum(s * (i // slots[r] + 1) for i, s in enumerate(queue))
        total += sum(base[j, r] for j, r in enumerate(choice))
        best = min(best, total)
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("slots", [[1, 1, 1], [2, 1, 3]])
def test_the_matching_equals_trying_all_choices(seed: int, slots: list[int]) -> None:
    rng = np.random.default_rng(seed)
    slope, base = rng.uniform(0.1, 4.0, (6, 3)), rng.uniform(0.0, 3.0, (6, 3))
    allowed = np.ones((6, 3), dtype=bool)
    found = assign(slope, base, allowed, np.array(slots), steps=10_000)
    assert found.exact
    assert found.total == pytest.approx(best_by_trying_all(slope, base, slots))


def test_a_resource_that_is_far_better_takes_all_jobs_however_deep_its_queue_gets() -> None:
    rng = np.random.default_rng(0)
    slope = np.column_stack([rng.uniform(0.9, 1.0, 40) * 1e-3, rng.uniform(50.0, 60.0, (40, 2))])
    found = assign(slope, np.zeros((40, 3)), np.ones((40, 3), dtype=bool), ONE_SLOT, steps=10_000)
    assert set(found.resource.tolist()) == {0}


def test_queues_that_the_greedy_guess_made_too_short_are_made_longer() -> None:
    # Greedy spreads the first twenty over both, not knowing that the others must all go to the second.
    spread, bound = np.full((20, 3), 10.0), np.tile([1e-3, 100.0, 100.0], (20, 1))
    slope = np.concatenate([spread, bound])
    base = np.zeros((40, 3))
    base[20:, 0] = base[:, 2] = 1e9
    found = assign(slope, base, np.ones((40, 3), dtype=bool), ONE_SLOT, steps=10_000)
    assert found.exact
    assert np.bincount(found.resource).tolist() == [20, 20]
    assert found.total == pytest.approx(110.0 * 20 * 21 / 2)


def test_alike_jobs_fill_the_cheapest_positions() -> None:
    slope, base = np.array([[1.0, 2.0, 9.0]]), np.array([[0.0, 0.5, 0.0]])
    found = assign(np.repeat(slope, 5, 0), np.repeat(base, 5, 0), np.ones((5, 3), dtype=bool), ONE_SLOT, steps=0)
    assert found.exact
    assert found.identical
    assert np.bincount(found.resource, minlength=3).tolist() == [4, 1, 0]  # 1 + 2 + 3 + 4 and 2.5
    assert found.total == pytest.approx(12.5)


def test_what_is_not_allowed_is_never_chosen_even_where_it_is_nan() -> None:
    rng = np.random.default_rng(1)
    allowed = rng.random((20, 3)) < 0.5
    allowed[:, 2] |= ~allowed.any(axis=1)
    slope = np.where(allowed, rng.uniform(1.0, 2.0, (20, 3)), np.nan)
    for steps in (0, 10_000):
        found = assign(slope, slope, allowed, ONE_SLOT, steps=steps)
        assert allowed[np.arange(20), found.resource].all()
        assert np.isfinite(found.total)


def test_without_steps_the_choice_is_greedy_and_proves_nothing() -> None:
    rng = np.random.default_rng(2)
    slope = rng.uniform(1.0, 2.0, (20, 3))
    allowed = np.ones((20, 3), dtype=bool)
    found = assign(slope, 0 * slope, allowed, ONE_SLOT, steps=0)
    assert not found.exact
    assert found.total == pytest.approx(quick_total(slope, 0 * slope, allowed, ONE_SLOT))


@pytest.mark.parametrize("seed", range(3))
def test_blocks_come_near_the_optimum_and_more_steps_never_hurt(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slope = np.exp(rng.normal(0.0, 1.0, (160, 1)) + rng.normal(0.0, 0.5, (160, 3)))
    base, allowed = rng.uniform(0.0, 2.0, (160, 3)), np.ones((160, 3), dtype=bool)
    least = assign(slope, base, allowed, ONE_SLOT, steps=10_000)
    assert least.exact
    steps = (0, 2 * BLOCK, 1_000)  # all below what an exact matching asks for
    totals = [assign(slope, base, allowed, ONE_SLOT, steps=count).total for count in steps]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] <= 1.01 * least.total
    assert totals[0] <= 1.05 * least.total


def test_the_quick_total_is_exact_for_alike_jobs() -> None:
    slope = np.repeat([[1.0, 2.0, 4.0]], 6, 0)
    allowed = np.ones((6, 3), dtype=bool)
    exact = assign(slope, 0 * slope, allowed, ONE_SLOT, steps=10_000).total
    assert quick_total(slope, 0 * slope, allowed, ONE_SLOT) == pytest.approx(exact)


def test_an_exact_matching_does_not_wait_for_all_of_scipy_to_be_imported() -> None:
    script = (
        "import sys, numpy as np; from dnaml.schedule.assignment import assign; "
        "slope = np.array([[1.0, 2.0], [3.0, 1.0]]); "
        "found = assign(slope, 0 * slope, slope > 0, np.array([1, 1]), steps=100); "
        "sys.exit('scipy.optimize' in sys.modules or found.resource.tolist() != [0, 1])"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_solver_is_found_in_scipy_where_its_extension_is_not_where_it_was_looked_for() -> None:
    costs = np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]])
    rows, columns = solver_below(())(costs)
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 2], [1, 0, 2])
