"""Coverage: what is watched over 30 days, and what brings it right."""

import math

import numpy as np
import pytest

from dnaml.core.errors import InputError
from dnaml.predict.coverage import DAY_S, FEWEST, TARGET_MISS, WATCHED_DAYS, AdaptiveWidths, CoverageWatch
from dnaml.predict.drift import Subject

GROUP = (1, 3)


def watched(inside, days=1):
    watch = CoverageWatch()
    for run, one in enumerate(inside):
        watch = watch.updated(GROUP, inside=bool(one), at_s=DAY_S * (run % days))
    return watch


def test_intervals_that_hold_as_often_as_they_say_raise_no_alarm():
    rng = np.random.default_rng(0)
    for _ in range(200):
        watch = watched(rng.random(100) < 1 - TARGET_MISS, days=10)
        assert watch.alarm(GROUP, at_s=0.0) is None
        assert watch.coverage(GROUP)[0] == 100


@pytest.mark.parametrize(("share", "sign"), [(0.5, 1), (1.0, -1)], ids=["too few inside", "too many inside"])
def test_intervals_that_hold_too_seldom_or_too_often_raise_an_alarm_with_its_direction(share, sign):
    inside = np.arange(100) < 100 * share
    alarm = watched(inside).alarm(GROUP, at_s=7.0)
    assert alarm is not None
    assert (alarm.subject, alarm.id, alarm.at_s) == (Subject.COVERAGE, str(GROUP), 7.0)
    assert sign * alarm.statistic > alarm.bound


def test_a_few_runs_say_nothing_and_an_unknown_group_has_no_coverage():
    assert watched(np.zeros(FEWEST - 1)).alarm(GROUP, at_s=0.0) is None
    runs, share = CoverageWatch().coverage(GROUP)
    assert runs == 0
    assert math.isnan(share)


def test_runs_older_than_the_window_are_forgotten_and_late_ones_are_counted_on_their_day():
    watch = watched(np.zeros(50))
    watch = watch.updated(GROUP, inside=True, at_s=WATCHED_DAYS * DAY_S)
    assert watch.coverage(GROUP) == (1, 1.0)
    watch = watch.updated(GROUP, inside=False, at_s=(WATCHED_DAYS - 2) * DAY_S)
    assert watch.coverage(GROUP) == (2, 0.5)
    assert watch.updated(GROUP, inside=False, at_s=0.0).coverage(GROUP) == (2, 0.5)
    with pytest.raises(InputError, match="at_s must be finite, got nan"):
        watch.updated(GROUP, inside=True, at_s=math.nan)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_intervals_of_any_wrong_width_come_to_hold_as_often_as_they_should(scale):
    rng, widths, hits = np.random.default_rng(0), AdaptiveWidths(), []
    for error in (scale * rng.normal(size=4000)).tolist():
        inside = abs(error) <= 1.2815516 * widths.factor(GROUP)
        hits.append(inside)
        widths = widths.updated(GROUP, inside=inside)
    assert np.mean(hits[2000:]) == pytest.approx(1 - TARGET_MISS, abs=0.03)


def test_groups_are_corrected_apart_and_within_a_factor_of_ten():
    widths = AdaptiveWidths()
    assert widths.factor(GROUP) == 1.0
    for _ in range(1000):
        widths = widths.updated("missed", inside=False).updated("held", inside=True)
    assert widths.factor("missed") == pytest.approx(10.0)
    assert 0.01 < widths.factor("held") < 0.2
    assert widths.factor(GROUP) == 1.0
