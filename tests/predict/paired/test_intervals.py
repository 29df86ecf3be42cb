"""Intervals: they cover what they say, widen where experts disagree or own probes err, and never cross."""

from dataclasses import replace

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.predict.paired.intervals import FEWEST_OWN, OWN_POWER, OWN_TRUST, Blend, Intervals

P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))


def blend(sd, *, probes=3, unseen=False, own=np.nan, spread=None, asked=20):
    return Blend(
        mean=np.zeros(asked),
        sd=np.full(asked, sd),
        spread=np.full(asked, sd / 4 if spread is None else spread),
        own_error=own,
        probes=probes,
        unseen=unseen,
    )


def world(count=120, own=True):
    rng = np.random.default_rng(0)
    sds = np.exp(rng.normal(-2, 0.7, count))
    blends = [blend(sd, probes=(0, 3, 10)[n % 3], own=sd if own and n % 3 else np.nan) for n, sd in enumerate(sds)]
    return blends, [rng.normal(0, 1.5 * sd, 20) for sd in sds]


@pytest.fixture(scope="module")
def fitted():
    return Intervals.of(*world())


def test_four_in_five_truths_lie_between_p10_and_p90_for_loud_and_quiet_targets_alike(fitted):
    rng = np.random.default_rng(9)
    for sd in (0.05, 0.3):
        rows = fitted.quantiles(blend(sd, own=sd, asked=1000))
        truth = rng.normal(0, 1.5 * sd, 1000)
        assert 0.72 <= ((rows[:, P10] <= truth) & (truth <= rows[:, P90])).mean() <= 0.88


def test_quantiles_rise_around_the_mean(fitted):
    rows = fitted.quantiles(blend(0.2, unseen=True, probes=0))
    assert (np.diff(rows, axis=1) >= 0).all()
    np.testing.assert_array_equal(rows[:, P50], 0.0)


def test_errors_on_own_probes_widen_and_their_absence_narrows(fitted):
    def width(own, probes=10):
        rows = fitted.quantiles(blend(0.15, own=own, probes=probes))
        return rows[0, P90] - rows[0, P10]

    assert width(0.02) < width(0.15) < width(1.0)
    assert width(np.nan) == pytest.approx(width(fitted.typical[5]))
    assert width(9.0, probes=FEWEST_OWN - 1) == width(np.nan, probes=FEWEST_OWN - 1)


def test_the_scale_follows_errors_on_own_probes_less_than_one_to_one(fitted):
    def width(own):
        rows = fitted.quantiles(blend(0.15, own=own, probes=10))
        return rows[0, P90] - rows[0, P10]

    usual, loud = fitted.typical[5], 5.0
    by_mean_square = np.sqrt((OWN_TRUST * usual**2 + 10 * loud**2) / (OWN_TRUST + 10)) / usual
    assert width(loud) / width(np.nan) == pytest.approx(by_mean_square**OWN_POWER)


def test_a_target_nearer_than_the_replays_has_a_narrower_interval_but_no_nearer_than_replays_tell():
    blends, truths = world()
    far = [replace(b, novelty=1.0 + (n % 7) / 3) for n, b in enumerate(blends)]
    errors = [truth * b.novelty for b, truth in zip(far, truths, strict=True)]
    found = Intervals.of(far, errors)

    def width(novelty):
        rows = found.quantiles(replace(blend(0.1, own=0.1), novelty=novelty))
        return rows[0, P90] - rows[0, P10]

    assert width(1.0) < 0.8 * width(3.0)
    assert width(0.0) == width(found.nearest)
    assert width(9.0) == width(found.farthest)


def test_a_number_of_probes_that_was_never_replayed_has_no_typical_error():
    found = Intervals.of(*world(own=False))
    assert found.typical == {}
    np.testing.assert_array_equal(found.quantiles(blend(0.1, own=5.0)), found.quantiles(blend(0.1)))


def test_more_probes_than_were_replayed_are_judged_by_the_most_that_were(fitted):
    def width(own):
        rows = fitted.quantiles(blend(0.15, own=own, probes=200))
        return rows[0, P90] - rows[0, P10]

    usual = fitted.typical[max(fitted.typical)]
    assert width(usual / 4) < width(usual) < width(4 * usual)
    assert width(usual) == pytest.approx(width(np.nan))


def test_experts_are_blended_by_weight_and_the_silent_say_nothing():
    means, sds = np.array([[1.0, 3.0, np.nan]]), np.array([[0.5, 0.5, np.nan]])
    found = Blend.of(means, sds, np.array([0.2, np.nan, np.nan]), np.array([0.5, 0.5, 0.0]), probes=8, unseen=True)
    assert (found.mean[0], found.sd[0], found.spread[0]) == (2.0, 0.5, 1.0)
    assert found.own_error == 0.2
    assert found.group == (1, 5)
    silent = Blend.of(means, sds, np.full(3, np.nan), np.array([1.0, 0.0, 0.0]), probes=0, unseen=False)
    assert np.isnan(silent.own_error)
    assert silent.group == (0, 0)


def test_perfect_replays_leave_narrow_but_finite_intervals():
    found = Intervals.of([blend(0.1) for _ in range(9)], [np.zeros(20)] * 9)
    rows = found.quantiles(blend(0.1))
    assert np.isfinite(rows).all()
    assert (np.diff(rows, axis=1) >= 0).all()
