"""The numbers behind the decisions: drawn batches are planned completely, and the rows tell both sides."""

import numpy as np
import pytest

from benchmarks import choices, tasks
from dnaml.schedule.matching import utopia


@pytest.fixture(scope="module")
def batch():
    return choices.drawn(0, jobs=24)


@pytest.mark.parametrize("window", [5, 24])
def test_windows_place_every_job_once(batch, window):
    placed = choices.in_windows(batch, window)
    assert sorted(j for j, _ in placed) == list(range(24))
    assert {r for _, r in placed} <= set(range(choices.RESOURCES))


def test_one_window_over_all_jobs_is_the_plan_itself(batch):
    assert choices.in_windows(batch, 24) == choices.planned(batch)


def test_own_units_place_every_job_and_never_beat_the_batchs_own_by_much(batch):
    placed = choices.by_own_best(batch)
    references = utopia(batch)
    assert sorted(j for j, _ in placed) == list(range(24))
    assert choices.reached(batch, placed, references) >= 0.98 * choices.reached(
        batch, choices.planned(batch), references
    )


def test_equal_seeds_draw_equal_batches(batch):
    again = choices.drawn(0, jobs=24)
    np.testing.assert_array_equal(batch.prediction.runtime_s.values, again.prediction.runtime_s.values)


def test_a_payload_is_stored_both_ways():
    (row,) = choices.storing_rows(quick=True)
    assert row.value > 0
    assert row.peer_value > 0


@pytest.mark.slow
def test_the_clocks_are_read_from_real_runs():
    (row,) = choices.clock_rows(quick=True)
    assert row.value > 0
    assert row.peer_value > 0


def test_a_crunch_returns_its_argument():
    assert tasks.crunch(3) == 3
