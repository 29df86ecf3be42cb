"""The table below all predictors."""

import math

import numpy as np
import pytest

from dnaml.core.prediction import LEVELS
from dnaml.core.protocols import Run
from dnaml.core.types import Computation, Objective, Resource
from dnaml.predict import static_table
from dnaml.predict.static_table import StaticTable

P10, P50, P90 = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
QUICK = Resource(id="quick", spec={"fp64_flop_per_s": 4e11})
SLOW = Resource(id="slow", spec={"fp64_flop_per_s": 4e10})
WORK = Computation(id="f", kernel="f", size={"n": 10.0})


def ran(seconds, resource=SLOW, computation=WORK, **more):
    return Run(computation=computation, resource=resource, runtime_s=seconds, at_s=0.0, **more)


def median(table, computation, resource):
    return table.predict([computation], [resource]).runtime_s.values[0, 0, P50]


def test_a_pair_that_ran_takes_what_it_took():
    table = StaticTable().updated([ran(4.0), ran(9.0)])
    assert median(table, WORK, SLOW) == pytest.approx(6.0)
    assert table.version == "static-1+1"
    assert median(table, Computation(id="f", kernel="f", size={"n": 1000.0}), SLOW) != pytest.approx(6.0)


def test_elsewhere_the_specs_scale_what_it_took_and_what_never_ran_is_a_wide_guess():
    table = StaticTable().updated([ran(8.0)])
    ratio = median(StaticTable(), WORK, QUICK) / median(StaticTable(), WORK, SLOW)
    assert ratio < 0.5
    assert median(table, WORK, QUICK) == pytest.approx(8.0 * ratio)
    together = table.predict([WORK], [SLOW, QUICK]).runtime_s.values[0, 1, P50]
    assert together == median(table, WORK, QUICK)  # what else is asked in the same call changes nothing
    widths = []
    for computation, resource in ((WORK, SLOW), (WORK, QUICK), (Computation(id="g", kernel="g"), QUICK)):
        values = table.predict([computation], [resource]).runtime_s.values[0, 0]
        widths.append(values[P90] / values[P10])
    assert widths == sorted(widths)
    assert widths[2] > 50


def test_what_tells_no_runtime_is_left_out_and_the_older_table_stays():
    before = StaticTable()
    after = before.updated(
        [ran(1.0, failed=True), ran(1.0, censored=True), ran(0.0), ran(-1.0), ran(math.nan), ran(math.inf), ran(1e300)]
    )
    assert after.version == before.version == "static-1+0"


def test_a_mean_is_firm_from_two_runs_on_and_follows_a_machine_that_changes():
    table = StaticTable().updated([ran(1.0)])
    assert np.isnan(table.firm_log_s([WORK], [SLOW])).all()
    table = table.updated([ran(1.0)] * 200)
    np.testing.assert_allclose(table.firm_log_s([WORK], [SLOW, QUICK]), [[0.0, math.nan]])
    table = table.updated([ran(100.0)] * 100)
    assert median(table, WORK, SLOW) > 80.0


def test_the_table_is_bounded_and_drops_what_ran_longest_ago(monkeypatch):
    monkeypatch.setattr(static_table, "MOST_PAIRS", 3)
    table = StaticTable()
    for name in "abcd":
        table = table.updated([ran(1.0, computation=Computation(id=name, kernel=name))])
    assert [item[1] for item in table.items] == ["b", "c", "d"]


def test_a_shortlist_follows_the_objective():
    found = StaticTable().updated([ran(8.0)]).shortlist(WORK, [SLOW, QUICK], Objective.of("min_latency"), 1)
    assert found.tolist() == [1]


def test_nothing_asked_is_nothing_answered():
    assert StaticTable().predict([], [SLOW]).runtime_s.values.shape == (0, 1, len(LEVELS))
