"""Trust counts what was said against what happened: by level, over time, by name, by who answered."""

import math

import numpy as np
import pytest

from dnaml.answers.judged import Judged
from dnaml.answers.trust import FEWEST_A_SPAN, MOST_NAMES, MOST_SPANS, OTHERS, Trust


def run(runtime_s=1.0, *, at_s=0.0, said_s=(0.5, 1.0, 2.0), resource_id="r", kernel="k"):
    return Judged(at_s=at_s, resource_id=resource_id, kernel=kernel, path="runs", said_s=said_s, runtime_s=runtime_s)


def test_a_judged_run_knows_its_levels_and_its_error():
    one = run(2.0, said_s=(0.5, 1.0, 2.0))
    assert one.below == (False, False, True)
    assert one.inside
    assert one.log_ratio == pytest.approx(math.log(2.0))
    assert not run(3.0).inside


def test_levels_are_met_as_often_as_runs_stay_below():
    trust = Trust()
    for runtime_s in (0.4, 0.9, 1.5, 3.0):
        trust.judged(run(runtime_s))
    now = trust.now(0.0)
    assert [(one.stated, one.met) for one in now.levels] == [(0.1, 0.25), (0.5, 0.5), (0.9, 0.75)]
    assert now.levels[1].error == pytest.approx(0.25)
    assert (now.runs, now.inside) == (4, 0.5)


def test_quantiles_of_the_error_are_right_to_five_percent():
    rng = np.random.default_rng(0)
    ratios = np.exp(rng.normal(0.3, 0.5, size=2_000))
    trust = Trust()
    for number, ratio in enumerate(ratios):
        trust.judged(run(float(ratio), at_s=0.01 * number))
    spans = trust.now(0.0).spans
    assert len(spans) <= MOST_SPANS
    assert sum(one.runs for one in spans) == 2_000
    middle = np.average([math.log(one.ratio_p50) for one in spans], weights=[one.runs for one in spans])
    assert middle == pytest.approx(0.3, abs=0.05)
    assert all(one.ratio_p10 <= one.ratio_p50 <= one.ratio_p90 for one in spans)


def test_short_spans_are_joined_until_they_say_something():
    trust = Trust()
    for number in range(12):
        trust.judged(run(at_s=100.0 * number))
    spans = trust.now(0.0).spans
    assert [one.runs for one in spans] == [FEWEST_A_SPAN, FEWEST_A_SPAN, 2]
    assert spans[0].until_s <= spans[1].at_s


def test_names_and_answers_are_counted_most_first_and_boundedly():
    trust = Trust()
    for number in range(MOST_NAMES + 5):
        trust.judged(run(2.0, resource_id=f"r{number}"))
        trust.decided("runs")
    trust.decided("pool")
    now = trust.now(0.0)
    assert len(now.resources) == MOST_NAMES + 1
    assert now.resources[0].name == OTHERS
    assert now.resources[0].runs == 5
    (kernel,) = now.kernels
    assert (kernel.runs, kernel.inside, kernel.ratio) == (MOST_NAMES + 5, 1.0, pytest.approx(2.0))
    assert list(now.paths.items()) == [("runs", MOST_NAMES + 5), ("pool", 1)]


def test_coverage_that_cannot_be_chance_raises_an_alarm():
    trust = Trust()
    for _ in range(100):
        trust.judged(run(5.0))
    alarm = trust.now(1.0).alarm
    assert alarm is not None
    assert alarm.statistic > 0


def test_without_runs_there_is_nothing_to_say():
    now = Trust().now(0.0)
    assert (now.runs, now.levels, now.spans, now.alarm) == (0, [], [], None)
    assert math.isnan(now.inside)
