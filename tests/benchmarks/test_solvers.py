"""The rows of the solvers: computed costs agree with each other, and a quick run measures every row."""

import numpy as np
import pytest

from benchmarks import solvers


def test_costs_computed_by_rows_and_by_columns_agree():
    costs = solvers.DnaCosts(30, 8)
    whole = costs.block(0, 30)
    np.testing.assert_allclose(costs.rows(np.array([3, 7])), whole[[3, 7]], rtol=1e-5)
    np.testing.assert_allclose(costs.columns(np.array([1, 5])), whole.T[[1, 5]], rtol=1e-5)


def test_the_greedy_peer_uses_each_slot_once():
    costs = np.array([[1.0, 2.0], [1.0, 5.0]], dtype=np.float32)
    assert solvers.greedy_total(costs, np.array([1, 1])) == pytest.approx(3.0)


@pytest.mark.slow
def test_a_quick_run_measures_every_row():
    rows = solvers.measure(quick=True)
    assert {row.id.split(".")[0] for row in rows} == {"S7", "S8", "S9"}
    assert all(row.value is not None and np.isfinite(row.value) for row in rows)
    assert all(row.value == 0 for row in rows if row.id.endswith("waiting"))
