"""Each way of forecasting demand, on series of which the answer is known."""

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.predict.demand.features import Layout
from dnaml.predict.demand.forecaster import LEVELS, MEDIAN, Past, weighted_quantiles
from dnaml.predict.demand.forest import FIRST, Forest
from dnaml.predict.demand.periods import found_periods
from dnaml.predict.demand.simple import LEAST, Recent, Recurring, damped, seasonal, shifted, smoothed

DAY = 24
WAVE = 10 + 8 * np.sin(np.arange(20 * DAY) * 2 * np.pi / DAY)


def after(forecaster, values):
    for value in np.asarray(values, dtype=float).tolist():
        forecaster.observe(value)
    return forecaster.forecast()


def test_quantiles_of_equal_weights_are_the_plain_ones():
    values = np.arange(1000.0)
    said = weighted_quantiles(values[::-1].copy(), np.ones(1000))
    np.testing.assert_allclose(said, np.array(LEVELS) * 1000 - 1, atol=1.0)


def test_what_was_seen_of_late_is_what_is_forecast():
    rng = np.random.default_rng(0)
    said = after(Recent(memory=100), np.concatenate([np.full(300, 90.0), rng.uniform(0, 10, 900)]))
    assert said[MEDIAN] == pytest.approx(5.0, abs=1.0)
    assert said[-1] <= 10.0


def test_the_last_value_is_forecast_with_the_spread_of_its_errors():
    rng = np.random.default_rng(1)
    said = after(smoothed(2, 1.0), 50 + np.cumsum(rng.normal(0, 0.1, 600)) + 0.0)
    assert said[-1] - said[0] == pytest.approx(2 * 2.6 * 0.1 * np.sqrt(2), rel=0.3)


def test_a_season_ago_is_forecast_exactly_where_the_season_repeats():
    for ahead in (1, 3, DAY, DAY + 5):
        said = after(seasonal(ahead, DAY), WAVE)
        expected = 10 + 8 * np.sin((len(WAVE) - 1 + ahead) * 2 * np.pi / DAY)
        np.testing.assert_allclose(said, expected, atol=1e-9)


def test_a_season_on_another_level_is_shifted():
    said = after(shifted(3, DAY), np.concatenate([WAVE, WAVE[:DAY] + 30.0, WAVE[: DAY // 2] + 30.0]))
    assert said[MEDIAN] == pytest.approx(40 + 8 * np.sin((DAY // 2 + 2) * 2 * np.pi / DAY), abs=0.5)


def test_a_damped_trend_follows_a_ramp_most_of_the_way():
    said = after(damped(3), np.arange(100.0))
    assert 100.0 < said[MEDIAN] < 103.0


@pytest.mark.parametrize("make", [Recent, lambda: smoothed(1, 0.5), lambda: seasonal(1, 4), lambda: Forest("f", 1)])
def test_nothing_is_said_before_enough_is_known(make):
    forecaster = make()
    assert after(forecaster, [1.0] * (LEAST - 1)) is None


def test_demand_is_never_forecast_below_nothing():
    rng = np.random.default_rng(2)
    said = after(smoothed(1, 1.0), rng.exponential(1.0, 300))
    assert said.min() >= 0


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_demand_that_cannot_be_is_refused(value):
    with pytest.raises(InputError, match="finite and not negative"):
        Forest("f", 1).observe(value)


def test_a_forecast_is_of_what_comes():
    with pytest.raises(InputError, match="at least 1 bin ahead"):
        smoothed(0, 0.5)


def test_spikes_that_come_back_give_their_period():
    rng = np.random.default_rng(3)
    values = 10 + rng.normal(0, 1.0, 600)
    values[5::19] += 15
    assert found_periods(values)[0] == 19


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_period(seed):
    assert found_periods(np.random.default_rng(seed).exponential(1.0, 1000)) == ()
    assert found_periods(np.full(100, 3.0)) == ()
    assert found_periods(np.ones(5)) == ()


@pytest.mark.parametrize("relative", [False, True])
def test_a_row_knows_nothing_of_later_bins(relative):
    layout = Layout(ahead=3, seasons=(DAY, 7 * DAY), relative=relative)
    short, long = Past(), Past()
    for value in WAVE[:300].tolist():
        short.append(value)
        long.append(value)
    for _ in range(200):
        long.append(1e6)
    at = np.array([30, 299])
    if relative:  # the scale holds a trace of the whole mean, so that it is never zero
        np.testing.assert_allclose(layout.rows(short, at)[0], layout.rows(long, at)[0], rtol=0.05, atol=0.1)
    else:
        np.testing.assert_array_equal(layout.rows(short, at)[0], layout.rows(long, at)[0])


def test_a_forest_learns_a_season_with_noise():
    rng = np.random.default_rng(4)
    values = np.maximum(0, WAVE + rng.normal(0, 0.5, len(WAVE)))
    known = 8 * DAY
    said = after(Forest("f", 3, seasons=(DAY,)), values[:known])
    expected = 10 + 8 * np.sin((known + 2) * 2 * np.pi / DAY)
    assert said[MEDIAN] == pytest.approx(expected, abs=1.2)
    assert said[0] < said[MEDIAN] < said[-1]
    assert (np.diff(said) >= 0).all()


def test_a_forest_finds_spikes_that_nobody_announced():
    rng = np.random.default_rng(5)
    values = 10 + rng.normal(0, 0.3, 400).clip(-1, 1)
    values[::19] = 30.0
    before_spike = 19 * 20 - 1  # bins seen when the one 2 bins ahead of the newest is a spike
    forest = Forest("f", 2, finds_periods=True)
    assert after(forest, values[:before_spike])[MEDIAN] > 20
    assert after(forest, values[before_spike : before_spike + 4])[MEDIAN] < 12


def test_equal_pasts_give_equal_forests():
    made = [after(Forest("f", 1, seed=7, relative=True, half_life=50.0), WAVE[: FIRST + 40]) for _ in range(2)]
    np.testing.assert_array_equal(made[0], made[1])


def test_what_recurs_is_forecast_by_the_period_it_has_by_itself():
    bursts = np.tile([0.0] * 9 + [3.0, 3.0, 0.0], 20)
    said = [after(Recurring(3), bursts[:end]) for end in (238, 239, 240)]
    assert [float(one[MEDIAN]) for one in said] == [bursts[(end + 2) % 12] for end in (238, 239, 240)]


def test_where_nothing_recurs_there_is_no_such_forecast():
    assert after(Recurring(3), np.random.default_rng(4).exponential(1.0, 300)) is None
    assert after(Recurring(3), [1.0] * 8) is None
