"""Cells of runs: bounded, robust, forgetful, and copied on write."""

import math

import numpy as np
import pytest

from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Resource
from dnaml.predict.history import MEMORY, MOST_CELLS, History, bucket_of, log_size

HERE, THERE = Resource(id="here"), Resource(id="there", spec={"fp64_flop_per_s": 8e10})


def run(seconds=1.0, *, size=10.0, resource=HERE, item="f", **more):
    computation = Computation(id=item, kernel="f", size={"n": size})
    return Run(computation=computation, resource=resource, runtime_s=seconds, at_s=0.0, **more)


def test_sizes_within_two_percent_share_a_bucket_and_a_tenth_more_does_not():
    assert bucket_of({"n": 1000.0}) == bucket_of({"n": 1004.0})
    assert bucket_of({"n": 1000.0}) != bucket_of({"n": 1100.0})
    assert bucket_of({"b": 1.0, "a": 2.0}) == bucket_of({"a": 2.0, "b": 1.0})


@pytest.mark.parametrize("value", [0.0, -5.0, 1e300])
def test_the_log_of_any_size_is_finite(value):
    assert math.isfinite(log_size(value))


def test_a_cell_keeps_count_mean_and_scatter_of_log_runtimes():
    seconds = [1.0, 1.2, 1.1]
    cells = History().updated([run(s) for s in seconds]).kernels["f"].arrays
    logs = np.log(seconds)
    np.testing.assert_allclose(cells.count, [3])
    np.testing.assert_allclose(cells.mean, [logs.mean()])
    np.testing.assert_allclose(cells.scatter, [((logs - logs.mean()) ** 2).sum()])


def test_failed_censored_and_impossible_runs_teach_nothing_but_their_resource():
    bad = [run(failed=True), run(censored=True), run(float("nan")), run(float("inf")), run(0.0, resource=THERE)]
    history = History().updated(bad)
    assert history.runs == 0
    assert history.kernels == {}
    assert history.codes == {"here": 0, "there": 1}
    assert [told[0] for told in history.traits] == [0.0, pytest.approx(math.log(2))]


def test_an_update_leaves_the_old_history_as_it_was():
    old = History().updated([run()])
    new = old.updated([run(2.0), run(3.0, item="g")])
    assert (old.runs, new.runs) == (1, 3)
    assert old.kernels["f"].arrays.count.tolist() == [1.0]
    assert sorted(new.kernels["f"].items) == ["f", "g"]


def test_one_bad_run_moves_a_firm_cell_by_little():
    steady = History().updated([run(1.0)] * 5)
    shocked = steady.updated([run(1000.0)])
    assert shocked.kernels["f"].arrays.mean[0] == pytest.approx(0.5 / 6)


def test_a_machine_that_became_slower_is_believed_after_some_tens_of_runs():
    history = History().updated([run(1.0)] * 500).updated([run(1.5)] * 60)
    cells = history.kernels["f"].arrays
    assert cells.count[0] == MEMORY
    assert cells.mean[0] == pytest.approx(math.log(1.5), abs=0.08)


def test_a_kernel_keeps_a_bounded_number_of_cells_the_newest_ones():
    history = History().updated([run(size=10.0 * 1.1**i) for i in range(MOST_CELLS + 20)])
    kernel = history.kernels["f"]
    assert len(kernel.cells) == MOST_CELLS
    assert bucket_of({"n": 10.0}) not in kernel.buckets


def test_cells_come_in_one_order_whatever_order_they_ran_in():
    runs = [run(1.0 + i / 10, size=10.0 * 2**i, resource=(HERE, THERE)[i % 2]) for i in range(6)]
    known = History().updated([run(failed=True), run(failed=True, resource=THERE)])
    one, other = (known.updated(order).kernels["f"].arrays for order in (runs, runs[::-1]))
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.at.bucket, other.at.bucket)


def test_with_a_models_expectation_the_cells_hold_what_it_left():
    cells = History().updated([run(2.0)], [math.log(2.0)]).kernels["f"].arrays
    np.testing.assert_allclose(cells.mean, [0.0], atol=1e-12)


def test_points_of_what_was_never_seen_have_code_minus_one():
    history = History().updated([run(item="f"), run(item="g", size=99.0)])
    kernel = history.kernels["f"]
    known = kernel.points(bucket_of({"n": 10.0}), "f", np.array([0]))
    fresh = kernel.points(bucket_of({"n": 33.0, "m": 2.0}), None, np.array([0]))
    assert (known.bucket[0] >= 0, known.item[0] >= 0) == (True, True)
    assert (fresh.bucket[0], fresh.item[0]) == (-1, -1)
    assert np.isfinite(fresh.size).all()


def test_the_largest_kernels_come_first():
    many = [run(size=s) for s in (10.0, 20.0, 40.0)]
    other = Run(computation=Computation(id="z", kernel="a"), resource=HERE, runtime_s=1.0, at_s=0.0)
    history = History().updated([other, *many])
    assert [len(cells.count) for cells in history.largest(2)] == [3, 1]
    assert len(history.largest(1)) == 1
