"""Physical bounds and what specs say of speed."""

import math

import numpy as np
import pytest

from dnaml.predict.bound import TRAITS, bound_s, bounds_s, log_speed, traits


def test_the_bound_is_work_over_peak_on_the_only_axis_known():
    assert bound_s({"fp64_flop": 4e10}, {"fp64_flop_per_s": 2e10}) == pytest.approx(2.0)


def test_axes_join_in_a_soft_maximum_of_power_four():
    demand = {"fp32_flop": 1e10, "working_set_bytes": 1e10}
    spec = {"fp32_flop_per_s": 1e10, "sequential_bytes_per_s": 1e10}
    assert bound_s(demand, spec) == pytest.approx(2**0.25)


def test_a_total_of_flops_is_divided_by_its_precision_mix():
    demand = {"flop": 8e10, "fp64_share": 0.5}
    assert bound_s(demand, {"fp64_flop_per_s": 2e10}) == pytest.approx(2.0)


def test_only_the_cores_that_the_computation_can_use_help_its_arithmetic():
    spec = {"fp64_flop_per_s": 1e10, "cores": 8.0}
    assert bound_s({"fp64_flop": 1e10, "parallelism": 2.0}, spec) == pytest.approx(0.5)
    assert bound_s({"fp64_flop": 1e10}, spec) == pytest.approx(1.0)


def test_startup_comes_on_top():
    assert bound_s({"fp64_flop": 1e10}, {"fp64_flop_per_s": 1e10}, startup_s=3.0) == pytest.approx(4.0)


@pytest.mark.parametrize("demand", [{}, {"fp64_flop": 0.0}, {"cpu_share": 1.0}, {"flop": 1e9}])
def test_there_is_no_bound_without_an_axis_known_on_both_sides(demand):
    assert bound_s(demand, {"fp64_flop_per_s": 1e10}) is None


def test_a_computation_has_one_bound_a_machine_and_nan_where_none_is_known():
    bounds = bounds_s({"fp64_flop": 1e10}, [{"fp64_flop_per_s": 1e10}, {}])
    np.testing.assert_allclose(bounds, [1.0, math.nan])
    assert np.isnan(bounds_s({}, [{}, {}])).all()


def test_speed_is_the_mean_log_of_known_rates_and_falls_back_to_the_clock():
    assert log_speed({"fp64_flop_per_s": 8e10, "hash_bytes_per_s": 1e9}) == pytest.approx(math.log(2) / 2)
    assert log_speed({"clock_average_hz": 5e9}) == pytest.approx(math.log(2))
    assert log_speed({"cores": 64.0, "fp64_flop_per_s": 0.0}) == 0.0
    assert log_speed({"fp64_flop_per_s": 1e300}) == 7.0


def test_traits_tell_speed_and_in_which_rates_a_machine_stands_out():
    told = traits({"fp64_flop_per_s": 8e10, "hash_bytes_per_s": 1e9})
    assert len(told) == TRAITS
    assert told[0] == pytest.approx(math.log(2) / 2)
    assert sorted(told[1:])[-1] == pytest.approx(math.log(2) / 2)
    assert sum(told[1:]) == pytest.approx(0.0)
    assert sum(value != 0 for value in told[1:]) == 2
