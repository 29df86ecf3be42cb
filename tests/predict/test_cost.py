"""Costs, term by term, each against the arithmetic of a bill."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.core.types import Computation, Resource
from dnaml.predict.cost import GB_BYTES, MONTH_S, Tariffs, Traffic

MONEY = st.floats(0, 100)
SECONDS = st.floats(1e-3, 1e7)
BYTES = st.integers(0, 10**13)
SETTINGS = settings(max_examples=60, deadline=None)


def resource(price=None, start=None, power=None, **spec):
    return Resource(id="r", price_usd_per_h=price, startup_s=start, power_w=power, spec=spec)


def work(moved_in=0, memory=0, **demand):
    return Computation(id="c", kernel="c", input_bytes=moved_in, memory_bytes=memory, demand=demand)


def cost(seconds, one, of=None, **more):
    traffic = None if of is None else Traffic.of([of])
    return float(Tariffs.of([one]).cost_usd(np.full((1, 1, 1), seconds), traffic=traffic, **more)[0, 0, 0])


@SETTINGS
@given(price=MONEY, seconds=SECONDS, start=st.floats(0, 1e4))
def test_when_only_a_price_is_known_the_cost_is_price_times_runtime_and_start_up(price, seconds, start):
    assert cost(seconds, resource(price, start)) == pytest.approx(price / 3600 * (seconds + start))
    assert cost(seconds, resource(price, start), work(10**9)) == pytest.approx(price / 3600 * (seconds + start))
    assert math.isnan(cost(seconds, resource(None, start), work(10**9)))


@SETTINGS
@given(price=MONEY, seconds=SECONDS, quantum=st.sampled_from([1.0, 60.0, 3600.0]), start=st.floats(0, 1e4))
def test_rent_is_billed_in_whole_quanta(price, seconds, quantum, start):
    found = cost(seconds, resource(price, start, billing_quantum_s=quantum))
    plain = price / 3600 * (seconds + start)
    assert plain * (1 - 1e-6) <= found <= plain + price / 3600 * quantum * (1 + 1e-6)
    quanta = found / (price / 3600 * quantum) if price > 1e-6 else 0.0
    assert quanta == pytest.approx(round(quanta), abs=1e-6)


def test_a_run_of_exactly_one_quantum_is_not_billed_as_two_and_a_short_one_for_the_least():
    assert cost(60.0, resource(3600.0, billing_quantum_s=60.0)) == pytest.approx(60.0)
    assert cost(60.1, resource(3600.0, billing_quantum_s=60.0)) == pytest.approx(120.0)
    least = resource(3600.0, billing_quantum_s=1.0, billed_at_least_s=60.0)
    assert cost(2.5, least) == pytest.approx(60.0)
    assert cost(70.5, least) == pytest.approx(71.0)


@SETTINGS
@given(inward=BYTES, outward=BYTES, rate_in=MONEY, rate_out=MONEY)
def test_data_in_and_out_are_paid_per_gb(inward, outward, rate_in, rate_out):
    one = resource(1.0, in_usd_per_gb=rate_in, out_usd_per_gb=rate_out)
    found = cost(3600.0, one, work(inward, output_bytes=float(outward)))
    assert found == pytest.approx(1.0 + inward / GB_BYTES * rate_in + outward / GB_BYTES * rate_out)


def test_what_is_transferred_beyond_the_input_goes_out():
    one = resource(0.0, in_usd_per_gb=1.0, out_usd_per_gb=10.0)
    assert cost(1.0, one, work(2 * 10**9, transferred_bytes=5e9)) == pytest.approx(2.0 + 30.0)
    assert cost(1.0, one, work(2 * 10**9, transferred_bytes=1e9)) == pytest.approx(2.0)


@SETTINGS
@given(watts=st.floats(0, 1e4), tariff=MONEY, seconds=SECONDS, price=st.one_of(st.none(), MONEY))
def test_energy_is_paid_by_the_kilowatt_hour(watts, tariff, seconds, price):
    one = resource(price, power=watts, energy_usd_per_kwh=tariff)
    energy = watts * seconds / 3.6e6 * tariff
    if price is None and watts * tariff == 0:
        assert math.isnan(cost(seconds, one))
    else:
        assert cost(seconds, one) == pytest.approx((price or 0.0) / 3600 * seconds + energy)


def test_power_that_was_predicted_for_the_pair_stands_before_the_rated_one():
    one = resource(0.0, power=1e6, energy_usd_per_kwh=1.0)
    assert cost(3600.0, one, power_w=np.array([[1000.0]])) == pytest.approx(1.0)


@SETTINGS
@given(memory=st.integers(1, 10**11), gb_s=st.floats(1e-9, 1), call=MONEY, seconds=SECONDS)
def test_serverless_is_paid_by_gb_second_and_call(memory, gb_s, call, seconds):
    one = resource(None, usd_per_gb_s=gb_s, usd_per_call=call)
    found = cost(seconds, one, work(memory=memory))
    assert found == pytest.approx(memory / GB_BYTES * gb_s * seconds + call)
    metered = resource(None, usd_per_gb_s=gb_s, usd_per_call=call, billing_quantum_s=0.1)
    assert cost(seconds, metered, work(memory=memory)) >= found * (1 - 1e-6)


@SETTINGS
@given(kept=BYTES, rate=MONEY, seconds=SECONDS, after=SECONDS)
def test_checkpoints_are_paid_for_the_run_and_as_long_as_they_are_kept(kept, rate, seconds, after):
    one = resource(0.0, storage_usd_per_gb_month=rate)
    found = cost(seconds, one, work(checkpoint_bytes=float(kept)), kept_s=after)
    assert found == pytest.approx(kept / GB_BYTES * rate * (seconds + after) / MONTH_S)


@SETTINGS
@given(
    seconds=st.lists(SECONDS, min_size=2, max_size=7).map(sorted),
    spec=st.fixed_dictionaries(
        {"billing_quantum_s": st.floats(0, 3600), "out_usd_per_gb": MONEY, "energy_usd_per_kwh": MONEY}
    ),
)
def test_costs_are_finite_and_rise_with_runtime_whatever_the_tariff(seconds, spec):
    tariffs = Tariffs.of([resource(1.0, 5.0, 200.0, **spec), resource(2.0), resource(None)])
    traffic = Traffic.of([work(10**9, output_bytes=1e9), work()])
    costs = tariffs.cost_usd(np.broadcast_to(np.array(seconds), (2, 3, len(seconds))), traffic=traffic)
    assert costs.shape == (2, 3, len(seconds))
    assert np.isfinite(costs[:, :2]).all()
    assert (costs[:, :2] >= 0).all()
    assert (np.diff(costs[:, :2], axis=-1) >= 0).all()
    assert np.isnan(costs[:, 2]).all()


def test_a_tariff_of_one_resource_does_not_change_what_another_costs():
    plain, fancy = resource(1.0, 3.0), resource(1.0, 3.0, 100.0, billing_quantum_s=60.0, energy_usd_per_kwh=0.3)
    together = Tariffs.of([plain, fancy]).cost_usd(np.full((1, 2, 1), 100.0))
    assert together[0, 0, 0] == pytest.approx(cost(100.0, plain))
    assert together[0, 1, 0] == pytest.approx(cost(100.0, fancy))


def test_negative_parts_of_a_spec_count_as_none_and_a_made_up_tariff_is_refused():
    assert cost(3600.0, resource(1.0, out_usd_per_gb=-5.0), work(output_bytes=1e12)) == pytest.approx(1.0)
    tariffs = Tariffs.of([resource(1.0)])
    for wrong in (-1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="tariff: usd_per_call must be finite and not negative"):
            replace(tariffs, usd_per_call=np.array([wrong]))
    with pytest.raises(InputError, match="tariff: price_usd_per_s must be finite and not negative, got -1"):
        replace(tariffs, price_usd_per_s=np.array([-1.0]))
    assert np.isnan(replace(tariffs, price_usd_per_s=np.array([math.nan])).price_usd_per_s).all()


def test_a_quantum_too_small_to_count_with_bills_to_the_fraction():
    assert cost(10.0, resource(3600.0, billing_quantum_s=1e-310)) == pytest.approx(10.0)
