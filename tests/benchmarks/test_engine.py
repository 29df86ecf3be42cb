"""The comparison of executors: every contender really runs, and the rows keep their bars."""

import math

import pytest

from benchmarks import engine
from benchmarks.engine import Contender, Counts
from benchmarks.report import Op
from benchmarks.tasks import noop

TINY = Counts(rounds=1, few=5, many=25, trips=4)


@pytest.fixture(scope="module")
def pair():
    return [contender for contender in engine.contenders() if contender.name in (engine.DNAML, engine.PEER)]


def test_dnaml_and_the_standard_executor_are_always_among_the_contenders():
    assert {engine.DNAML, engine.PEER} <= {contender.name for contender in engine.contenders()}


@pytest.mark.parametrize("contender", engine.contenders(), ids=lambda contender: contender.name)
def test_every_contender_returns_the_results_in_order(contender):
    with contender.open() as run_all:
        assert run_all(noop, range(20)) == list(range(20))


def test_dnaml_decides_among_all_candidates_and_runs_on_few():
    with engine.dnaml_of(4).open() as run_all:
        assert run_all(noop, [1]) == [1]
    assert engine.dnaml_of(2).name == "dnaml, 2 candidates"


def test_the_time_of_children_that_ended_counts():
    begin_s = engine.cpu_s()
    contender = next(c for c in engine.contenders() if c.name == engine.PEER)
    with contender.open() as run_all:
        run_all(engine.burn_10ms, range(20))
    assert engine.cpu_s() - begin_s >= 0.2


def test_contenders_take_turns_in_alternating_order():
    seen = []
    names = [Contender(name=name, open=engine.contenders()[0].open) for name in "abc"]
    found = engine.in_turns(names, 2, lambda contender: seen.append(contender.name) or len(seen))
    assert seen == ["a", "b", "c", "c", "b", "a"]
    assert found == {"a": [1, 6], "b": [2, 5], "c": [3, 4]}


def test_ratios_are_taken_round_by_round():
    assert engine.ratios_to_peer({engine.DNAML: [4.0, 9.0], engine.PEER: [2.0, 3.0]})[engine.DNAML] == [2.0, 3.0]


def test_a_spread_tells_median_and_range():
    assert engine.spread([1.0, 2.0, 4.0], ".1f") == "median 2.0, from 1.0 to 4.0"


@pytest.mark.soak
def test_the_rows_have_the_bars_that_were_asked_and_the_peer_of_the_same_run(pair):
    rows = {
        row.id: row
        for row in (
            *engine.noop_rows(pair, TINY),
            *engine.efficiency_rows(pair, TINY),
            *engine.latency_rows(pair, TINY),
            *engine.startup_rows(pair, TINY),
        )
    }
    assert sorted(rows) == ["E1.cpu", "E1.ratio", "E2.cpu", "E2.sleep", "E3.p50", "E3.p99", "E4.start"]
    assert (rows["E1.ratio"].op, rows["E1.ratio"].bar) == (Op.AT_MOST, 3.0)
    assert all((rows[key].op, rows[key].bar) == (Op.AT_LEAST, 0.95) for key in ("E2.sleep", "E2.cpu"))
    assert all(rows[key].peer_value > 0 for key in ("E2.sleep", "E3.p50", "E4.start"))
    assert math.isfinite(rows["E1.cpu"].peer_value)  # so few tasks cost less than the clock's own error
    assert 0 < rows["E2.sleep"].value <= 1
    assert 0 < rows["E3.p50"].value <= rows["E3.p99"].value
